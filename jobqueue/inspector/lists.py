"""Lists: the jobs in one state or in all, newest first, page by page."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final, NamedTuple

from jobqueue.errors import InvalidOption
from jobqueue.inspector.reading import Reader, state_word
from jobqueue.inspector.searching import LISTS, Found, newest_first, search
from jobqueue.inspector.views import EVERYTHING, FINISHED, MAX_LIMIT, MAX_OFFSET, STATES, JobFilter, JobList, JobView
from jobqueue.job import State
from jobqueue.queue import Queue

MAX_SORTED: Final = 1_000
"""Unfinished jobs of a state that are sorted by the time of enqueueing, and how far the list of all states reaches."""


class _Page(NamedTuple):
    jobs: Sequence[Found]
    total: int | None
    scanned_to: int | None = None


class Lists:
    """Concurrency: jobs move while a list is made; one that has left its state is shown as it is by now.

    One that was removed meanwhile is left out; an id that is listed though it has no job is shown.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    async def page(
        self, queue: Queue, state: State | None, offset: int, limit: int, wanted: JobFilter, scan_from: int
    ) -> JobList:
        """Raises: InvalidOption for a state that is none, and for `cancelled` with any other than failed."""
        _check(state, wanted)
        await queue.check_version()
        offset, limit = _clamped(offset, 0, MAX_OFFSET), _clamped(limit, 1, MAX_LIMIT)
        find = partial(self._found, queue, state, offset, limit, _cut(wanted), _clamped(scan_from, 0, MAX_OFFSET))
        page = await find()
        jobs = await asyncio.gather(*(self._reader.entry(queue, one.id, one.state) for one in page.jobs))
        if any(map(_is_gone, jobs)):
            listed = {one.id for one in (await find()).jobs}
            jobs = [job for one, job in zip(page.jobs, jobs, strict=True) if one.id in listed or not _is_gone(job)]
        return JobList(tuple(jobs), page.total, offset, limit, page.scanned_to)

    async def _found(
        self, queue: Queue, state: State | None, offset: int, limit: int, wanted: JobFilter, scan_from: int
    ) -> _Page:
        is_of_time_only = replace(wanted, from_ms=None, to_ms=None) == EVERYTHING
        if state in FINISHED and is_of_time_only:
            return await self._finished(queue, state, offset, limit, wanted)
        if wanted != EVERYTHING:
            states = STATES if state is None else (state,)
            found, scanned_to = await search(self._reader, queue, states, wanted, scan_from)
            is_whole = scanned_to is None and scan_from == 0
            return _Page(found[offset : offset + limit], len(found) if is_whole else None, scanned_to)
        return await (self._all(queue, offset, limit) if state is None else self._state(queue, state, offset, limit))

    async def _finished(self, queue: Queue, state: State, offset: int, limit: int, wanted: JobFilter) -> _Page:
        """By rank, which is as quick at the end of a long list as at its beginning."""
        key = queue.keys.of(state_word(state))
        low = "-inf" if wanted.from_ms is None else wanted.from_ms
        high = "+inf" if wanted.to_ms is None else wanted.to_ms
        newer = 0 if wanted.to_ms is None else await queue.client.call("ZCOUNT", key, f"({high}", "+inf")
        total: int = await queue.client.call("ZCOUNT", key, low, high)
        last = newer + min(offset + limit, total) - 1
        ids: Sequence[str] = ()
        if offset < total:
            ids = await queue.client.call("ZREVRANGE", key, newer + offset, last)
        return _Page([Found(state, job_id, 0) for job_id in ids], total)

    async def _state(self, queue: Queue, state: State, offset: int, limit: int) -> _Page:
        total = await self._count(queue, state)
        if total <= MAX_SORTED:
            found, _ = await search(self._reader, queue, [state], EVERYTHING, most=MAX_SORTED)
            return _Page(found[offset : offset + limit], total)
        read = "LRANGE" if state in LISTS else "ZREVRANGE"
        ids = await queue.client.call(read, queue.keys.of(state_word(state)), offset, offset + limit - 1)
        return _Page([Found(state, job_id, 0) for job_id in ids], total)

    async def _all(self, queue: Queue, offset: int, limit: int) -> _Page:
        """The newest of every state, merged."""
        reach = offset + limit
        if reach > MAX_SORTED:
            return _Page((), None)
        counts = await asyncio.gather(*(self._count(queue, state) for state in STATES))
        newest = await asyncio.gather(
            *(
                search(self._reader, queue, [state], EVERYTHING, most=reach if state in FINISHED else MAX_SORTED)
                for state, count in zip(STATES, counts, strict=True)
                if count
            )
        )
        found = newest_first({one.id: one for part in newest for one in part.found}.values())
        return _Page(found[offset:reach], sum(counts))

    async def _count(self, queue: Queue, state: State) -> int:
        key = queue.keys.of(state_word(state))
        count: int = await queue.client.call("LLEN" if state in LISTS else "ZCARD", key)
        return count


def _is_gone(job: JobView) -> bool:
    return job.job is None and not job.raw


def _check(state: State | None, wanted: JobFilter) -> None:
    if state is not None and state not in STATES:
        raise InvalidOption("state", f"must be one of {', '.join(STATES)}, not {state!r:.100}")
    if wanted.cancelled is not None and state != "failed":
        raise InvalidOption("cancelled", f"tells failed jobs apart, so the state must be failed, not {state or 'all'}")


def _cut(wanted: JobFilter) -> JobFilter:
    """The filter with times that Redis can hold exactly."""
    return replace(wanted, from_ms=_time(wanted.from_ms), to_ms=_time(wanted.to_ms))


def _time(at_ms: int | None) -> int | None:
    return None if at_ms is None else _clamped(at_ms, -MAX_OFFSET, MAX_OFFSET)


def _clamped(number: int, least: int, most: int) -> int:
    return min(max(number, least), most)
