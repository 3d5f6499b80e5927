"""Hearing: news of a queue, so that the screen is drawn when something happens."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from jobqueue.app import App
from jobqueue.stream import Listener, StreamEvent


class Ear(Listener):
    """Sets `changed` when something happens in one queue."""

    def __init__(self, app: App, queue: str, changed: asyncio.Event) -> None:
        """Raises: ClientClosed."""
        self._reader = app.streams.of(queue)
        self._changed = changed

    async def listen(self) -> None:
        """Waits while Redis is away. Raises: ClientClosed."""
        await self._reader.attach(self)

    def leave(self) -> None:
        """Twice is fine, and before it listens, too."""
        self._reader.detach(self)

    async def take(self, events: Sequence[StreamEvent]) -> None:
        if events:
            self._changed.set()

    async def resume(self, *, missed: bool) -> None:
        self._changed.set()

    def end(self) -> None:
        self._changed.set()
