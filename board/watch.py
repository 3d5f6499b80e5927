"""Watch: what one open page has not been told yet, and how it is told."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from typing import Final

MAX_JOBS: Final = 100

SPACING_S: Final = 1.0
HEARTBEAT_S: Final = 15.0
RETRY_MS: Final = 3_000


class Watch:
    """What one page has not been told yet: bounded, however much happens and however slowly the page listens.

    Shape: `live` once nothing is missed any more, `changed` with the names of queues and up to a hundred ids of jobs,
    `away` and `back` as Redis is.

    With a job, only what happened to that job of that queue, or to a queue as a whole, is told.
    """

    def __init__(self, job_id: str | None = None) -> None:
        self.job_id = job_id
        self.queues: Sequence[str] = ()
        """Those that are known and asked for, once that has been looked up."""
        self._unheard: Sequence[str] = ()
        """Those of them that nobody listens to: they count as changed at each heartbeat."""
        self.log: tuple[int, str | None] | None = None
        """The job's log when it was looked at: how many lines, and the last one."""
        self._queues: dict[str, None] = {}
        self._jobs: dict[str, None] = {}
        self._doubted: dict[str, None] = {}
        self._is_listening = self._said_listening = False
        self._is_away = self._said_away = False
        self._news, self._ended = asyncio.Event(), asyncio.Event()

    def hear(self, queue: str, job_ids: Sequence[str] = ()) -> None:
        """Something happened there; an empty id is about no job."""
        concerned = {job_id for job_id in job_ids if self.job_id in (None, job_id) or not job_id}
        if job_ids and not concerned:
            return
        self._queues[queue] = None
        for job_id in concerned - {""}:
            if len(self._jobs) < MAX_JOBS:
                self._jobs[job_id] = None
        if self._is_listening:
            self._news.set()

    def listens(self, queues: Sequence[str], unheard: Sequence[str] = ()) -> None:
        """From now on nothing is missed. What was heard before is told now."""
        self.queues, self._unheard = queues, unheard
        self._is_listening = True
        self._news.set()

    def doubt(self, queue: str) -> None:
        """Something may have happened there; told when Redis answers again, as before that no page can look."""
        self._doubted[queue] = None

    def redis_is(self, *, away: bool) -> None:
        self._is_away = away
        if away != self._said_away:
            self._news.set()
        if not away:
            while self._doubted:
                self.hear(self._doubted.popitem()[0])

    def end(self) -> None:
        self._ended.set()
        self._news.set()

    async def until_end(self) -> None:
        await self._ended.wait()

    async def messages(self) -> AsyncIterator[bytes]:
        """What is sent until the end: at most once a second, and a comment where there was nothing for long."""
        yield b"retry: %d\n\n" % RETRY_MS
        while not self._ended.is_set():
            if await _within(HEARTBEAT_S, self._news):
                yield self._taken()
                await _within(SPACING_S, self._ended)
            else:
                yield b": nothing new\n\n"
                for queue in self._unheard:
                    self.hear(queue)

    def _taken(self) -> bytes:
        self._news.clear()
        told = b""
        if self._is_away != self._said_away:
            self._said_away = self._is_away
            told += _event("away" if self._is_away else "back", {})
        if self._is_listening != self._said_listening:
            self._said_listening = True
            told += _event("live", {})
        if self._queues and self._is_listening:
            told += _event("changed", {"queues": list(self._queues), "jobs": list(self._jobs)})
            self._queues, self._jobs = {}, {}
        return told


async def _within(limit_s: float, event: asyncio.Event) -> bool:
    """Whether it came in time."""
    with suppress(TimeoutError):
        async with asyncio.timeout(limit_s):
            return await event.wait()
    return False


def _event(name: str, data: object) -> bytes:
    """Shape: JSON in ASCII, so that no name in it can end a line."""
    return f"event: {name}\ndata: {json.dumps(data)}\n\n".encode()
