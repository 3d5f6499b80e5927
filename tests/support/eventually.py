"""Waiting for what will be true: a poll with a deadline, for where no event tells."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar, overload

T = TypeVar("T")

PAUSE_S = 0.01


@overload
async def eventually(predicate: Callable[[], Awaitable[T | None]], deadline_s: float = ...) -> T: ...


@overload
async def eventually(predicate: Callable[[], T | None], deadline_s: float = ...) -> T: ...


async def eventually(predicate: Callable[[], object], deadline_s: float = 10.0) -> object:
    """Return the first truthy answer of `predicate`, a function or a coroutine function.

    Concurrency: asks every 10 ms and leaves the loop to others in between.
    Raises: AssertionError, with the last answer, where none was truthy after `deadline_s`.
    """
    gives_up_at_s = time.monotonic() + deadline_s
    while True:
        answer = predicate()
        if inspect.isawaitable(answer):
            answer = await answer
        if answer:
            return answer
        if time.monotonic() >= gives_up_at_s:
            raise AssertionError(f"not so within {deadline_s} s; the last answer was {answer!r}")
        await asyncio.sleep(PAUSE_S)
