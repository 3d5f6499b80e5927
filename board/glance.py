"""Glance: a look into the database for a page that is about something else, and is not held up by it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Final, Generic, TypeVar

from jobqueue.errors import DatabaseUnavailable

_log = logging.getLogger("board")

FRESH_S: Final = 2.0
"""For how long nobody looks again."""
MAX_AGE_S: Final = 30.0
ASK_AGAIN_S: Final = 10.0

T = TypeVar("T")


class Glance(Generic[T]):
    """Looks for those who wait no longer than their patience, and then take what was seen last, for a while.

    A database that is away holds nobody up: it is left alone for ASK_AGAIN_S, and until then there is nothing to see. A
    look is not cut short: the first one opens the connection. Concurrency: one look at a time, whoever asks.
    """

    def __init__(self, look: Callable[[], Awaitable[T]], nothing: T, patience_s: float) -> None:
        self._look = look
        self._nothing = nothing
        self._patience_s = patience_s
        self._seen = nothing
        self._seen_at_s = -MAX_AGE_S
        self._not_before_s = 0.0
        self._looking: asyncio.Task[None] | None = None

    async def see(self) -> T:
        if self._looking is None and monotonic() >= self._not_before_s:
            self._looking = asyncio.create_task(self._refresh(), name="glance")
        if self._looking is not None:
            await asyncio.wait({self._looking}, timeout=self._patience_s)
        return self._seen if monotonic() - self._seen_at_s < MAX_AGE_S else self._nothing

    async def _refresh(self) -> None:
        try:
            self._seen = await self._look()
            self._seen_at_s = monotonic()
            self._not_before_s = self._seen_at_s + FRESH_S
        except DatabaseUnavailable:
            self._seen, self._not_before_s = self._nothing, monotonic() + ASK_AGAIN_S
        except Exception:
            self._not_before_s = monotonic() + ASK_AGAIN_S
            _log.exception("a look into the database failed")
        finally:
            self._looking = None
