"""Queues: which there are, and how many jobs of each state they have."""

from __future__ import annotations

import asyncio
import re
import time
from typing import Final

from jobqueue.app import App
from jobqueue.errors import QueueVersionError
from jobqueue.inspector.reading import Reader, state_word
from jobqueue.inspector.stored import clean
from jobqueue.inspector.views import STATES, QueueView
from jobqueue.job import QUEUE_NAME
from jobqueue.scripts import shipped

_SCAN_KEYS: Final = 1_000
_LEAST_CALLS: Final = 10
_MOST_CALLS: Final = 50
_LOOK_S: Final = 0.02
"""For how long one look goes on, once it has made the least calls: a page should not wait for a search of all keys."""
_MAX_FOUND_QUEUES: Final = 1_000
_GLOB = re.compile(r"([\\*?\[\]])")


class Queues:
    """The queues of the registry's handlers, and the others that Redis knows under the prefix."""

    def __init__(self, app: App, reader: Reader) -> None:
        self._app = app
        self._client = app.client
        self._reader = reader
        self._found: set[str] = set()
        self._cursor = "0"

    async def names(self) -> tuple[str, ...]:
        """Those of the registry first, then the others by name; what is found of these grows with each call."""
        await self._look()
        own = self._app.queue_names()
        others = sorted(self._found.difference(own))
        metas = [self._reader.queue(name).keys.of("meta") for name in others]
        if metas and await self._client.call("EXISTS", *metas) < len(metas):
            alive = await asyncio.gather(*map(self.exists, others))
            others = [name for name, lives in zip(others, alive, strict=True) if lives]
            self._found.intersection_update(others)
        return (*own, *others)

    async def view(self, name: str) -> QueueView:
        queue = self._reader.queue(name)
        try:
            _, paused, counts = await asyncio.gather(
                queue.check_version(),
                self._client.call("HEXISTS", queue.keys.of("meta"), "paused"),
                self._client.run(shipped("getCounts"), [queue.keys.base], [state_word(state) for state in STATES]),
            )
        except QueueVersionError as error:
            return QueueView(name, refused=str(error))
        return QueueView(name, bool(paused), dict(zip(STATES, counts, strict=True)))

    async def exists(self, name: str) -> bool:
        if name in self._app.queue_names():
            return True
        if not re.fullmatch(QUEUE_NAME, name):
            return False
        return bool(await self._client.call("EXISTS", self._reader.queue(name).keys.of("meta")))

    async def _look(self) -> None:
        prefix = self._app.settings.jobs_prefix
        pattern, ends_s = _GLOB.sub(r"\\\1", prefix) + ":*:meta", time.monotonic() + _LOOK_S
        for number in range(1, _MOST_CALLS + 1):
            self._cursor, keys = await self._client.call(
                "SCAN", self._cursor, "MATCH", pattern, "COUNT", _SCAN_KEYS, "TYPE", "hash"
            )
            names = (key[len(prefix) + 1 : -len(":meta")] for key in map(clean, keys))
            self._found.update(name for name in names if re.fullmatch(QUEUE_NAME, name))
            is_late = number >= _LEAST_CALLS and time.monotonic() > ends_s
            if self._cursor == "0" or is_late or len(self._found) >= _MAX_FOUND_QUEUES:
                break
