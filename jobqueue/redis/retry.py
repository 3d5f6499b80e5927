"""Retry: how long to rest between attempts while Redis is away."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from jobqueue.errors import RedisReplyError, RedisUnavailable

T = TypeVar("T")

_FIRST_S = 0.05
_LONGEST_S = 1.0

_PASSING = frozenset(
    {
        "LOADING",
        "BUSY",
        "READONLY",
        "MASTERDOWN",
        "OOM",
        "ASK",
        "TRYAGAIN",
        "CLUSTERDOWN",
        "NOREPLICAS",
        "MISCONF",
        "UNBLOCKED",
    }
)


_FOR_NOW = frozenset({"READONLY", "MASTERDOWN", "ASK", "TRYAGAIN", "CLUSTERDOWN"})
_HALF_A_SLOT = "Script attempted to access a non local key"
"""What a script meets on a cluster while the queue's slot moves: some keys are here and some are there already."""


def is_passing(error: Exception) -> bool:
    """True where the same call may succeed later: Redis is away, loading, failing over, resharding, full or busy."""
    if isinstance(error, RedisReplyError):
        return error.code in _PASSING or _HALF_A_SLOT in str(error)
    return isinstance(error, RedisUnavailable)


def is_refused_for_now(error: Exception) -> bool:
    """True where a server is not the one to ask, or not yet: it has executed nothing, and another soon will."""
    return isinstance(error, RedisReplyError) and error.code in _FOR_NOW


class Pause:
    """Rests that double up to a second, with jitter, so that nothing spins and everything resumes soon."""

    def __init__(self) -> None:
        self._next_s = _FIRST_S

    def reset(self) -> None:
        self._next_s = _FIRST_S

    async def rest(self) -> None:
        rest_s = self._next_s * random.uniform(0.5, 1.0)
        self._next_s = min(self._next_s * 2, _LONGEST_S)
        await asyncio.sleep(rest_s)


async def until_answered(call: Callable[[], Awaitable[T]], on_loss: Callable[[Exception], None] = lambda _: None) -> T:
    """Repeat a call that is safe to repeat until Redis answers it. Raises: what is not passing."""
    pause = Pause()
    while True:
        try:
            return await call()
        except Exception as error:
            if not is_passing(error):
                raise
            on_loss(error)
            await pause.rest()
