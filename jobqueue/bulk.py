"""Bulk: many jobs at once, in batches; the next one is encoded while Redis takes the one before."""

from __future__ import annotations

import asyncio
from array import array
from collections import defaultdict, deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, Final, NamedTuple, TypeAlias, cast, overload

from jobqueue.enqueue import CLOSING_S, Enqueuer, in_doubt_about
from jobqueue.errors import (
    ConnectionLost,
    DatabaseUnavailable,
    EnqueueError,
    InvalidOption,
    OutcomeUnknown,
    QueueFull,
    RedisUnavailable,
)
from jobqueue.handler import Handler
from jobqueue.job import Enqueued, EnqueueOptions, OutcomeSource
from jobqueue.options import CheckedOptions, check_options
from jobqueue.queue import Queue
from jobqueue.redis.retry import Pause, is_refused_for_now
from jobqueue.tracing import Sending, sent_under
from jobqueue.transitions import Added, Terms
from jobqueue.wire import NewJob, traced

BATCH: Final = 1_000
_IN_FLIGHT: Final = 2
_BATCH_CHARACTERS: Final = 4_000_000
"""Large payloads make a smaller batch, so that neither we nor Redis must hold a thousand of them."""

Item: TypeAlias = tuple[Handler[Any] | str, Any]
OnProgress: TypeAlias = Callable[[int], None]
"""Told how many jobs are stored so far."""


class EnqueuedJobs(Sequence[Enqueued]):
    """The answers to many enqueues, in order; a million of them take some ten megabytes.

    Their ids are BullMQ's counters, so an id is a number and everything else is shared; but for those that went to the
    outbox, which take some hundred bytes each.
    """

    def __init__(self, outcomes: OutcomeSource | None = None) -> None:
        self._outcomes = outcomes
        self._ids = array("q")
        self._kinds = array("L")
        self._known_kinds: dict[tuple[str, str], int] = {}
        self._kind_of: list[tuple[str, str]] = []
        self._superseded: dict[int, str] = {}
        self._outboxed: dict[int, str] = {}
        """The ids of those that went to the outbox, which are no numbers."""

    def extend(self, batch: Sequence[NewJob], answers: Sequence[Added | Exception]) -> None:
        """Take the jobs of a batch that were stored."""
        for job, answer in zip(batch, answers, strict=True):
            if isinstance(answer, Added):
                self.append(job, answer)

    def append(self, job: NewJob, added: Added) -> None:
        kind = (job.name, job.queue)
        if kind not in self._known_kinds:
            self._known_kinds[kind] = len(self._kind_of)
            self._kind_of.append(kind)
        if added.superseded is not None:
            self._superseded[len(self._ids)] = added.superseded
        if added.outboxed:
            self._outboxed[len(self._ids)] = added.job_id
        self._ids.append(0 if added.outboxed else int(added.job_id))
        self._kinds.append(self._known_kinds[kind])

    def __len__(self) -> int:
        return len(self._ids)

    @overload
    def __getitem__(self, position: int) -> Enqueued: ...
    @overload
    def __getitem__(self, position: slice) -> list[Enqueued]: ...
    def __getitem__(self, position: int | slice) -> Enqueued | list[Enqueued]:
        if isinstance(position, slice):
            return [self[one] for one in range(*position.indices(len(self)))]
        place = range(len(self))[position]
        name, queue = self._kind_of[self._kinds[place]]
        outboxed, superseded = self._outboxed.get(place), self._superseded.get(place)
        job_id = outboxed or str(self._ids[place])
        return Enqueued(
            job_id, name, queue, superseded=superseded, outboxed=outboxed is not None, _outcomes=self._outcomes
        )


class BulkEnqueuer:
    """Stores many jobs; one for each app."""

    def __init__(self, enqueuer: Enqueuer) -> None:
        self._enqueuer = enqueuer

    async def enqueue(
        self, items: Iterable[Item], options: EnqueueOptions, on_progress: OnProgress | None = None
    ) -> EnqueuedJobs:
        """Store the jobs, one round trip for each batch of 1,000; in order, but where scripts are flushed or the slot
        moves in the middle: then some are sent again behind those that have left.

        What a full queue has no room for goes to the outbox; with `session` all of them do, in its transaction.
        A list or tuple is checked wholly before its first job is written; another iterable batch by batch, and no more
        than three batches of it are in memory.
        Raises: as `Enqueuer.enqueue`; an EnqueueError says the position; a note tells how many jobs were stored.
        """
        asked = check_options(options)
        if asked.job_id is not None:
            raise InvalidOption("job_id", "many jobs cannot share one id; enqueue them one by one")
        batches = _batches(self._encode_each(items, asked), whole=isinstance(items, list | tuple))
        stored = EnqueuedJobs(self._enqueuer.outcomes)
        sent: deque[_Sent] = deque()
        in_flight = _IN_FLIGHT if asked.session is None else 1  # a session is for one task at a time
        try:
            for batch in batches:
                sent.append(_Sent(batch, asyncio.create_task(self._send(batch, asked))))
                await asyncio.sleep(0)  # it leaves before the next one is encoded
                if len(sent) == in_flight:
                    await _take(sent, stored, on_progress)
            while sent:
                await _take(sent, stored, on_progress)
        except asyncio.CancelledError:
            await _end_all(sent)
            raise
        except Exception as error:
            for batch, adding in sent:
                await asyncio.wait({adding})
                if adding.exception() is None:
                    stored.extend(batch, adding.result())
            error.add_note(f"{len(stored)} jobs were stored before or beside this one")
            raise
        return stored

    async def _send(self, batch: list[NewJob], asked: CheckedOptions) -> Sequence[Added | Exception]:
        """What became of each job; told to those who listen, and under one span where somebody draws them."""
        events = self._enqueuer.events
        if events.tracing is None:
            answers = await self._store_all(batch, asked)
        else:
            with sent_under(events.tracing, _sending(batch)) as sent:
                answers = await self._store_all([traced(job, sent.carried) for job in batch], asked)
                sent.error = next((answer for answer in answers if isinstance(answer, Exception)), None)
        if events.listeners:
            for job, answer in zip(batch, answers, strict=True):
                if isinstance(answer, Added):
                    self._enqueuer.tell(job, answer)
        return answers

    async def _store_all(self, batch: list[NewJob], asked: CheckedOptions) -> Sequence[Added | Exception]:
        """What became of each job: in Redis, or where there is no room, in the outbox."""
        if asked.session is not None:
            return await self._enqueuer.outbox().write(asked.session, batch)
        terms = self._enqueuer.terms(asked)
        answers = list(await self._add_all(batch, terms))
        gives_up_at_s = asyncio.get_running_loop().time() + self._enqueuer.settings.redis_call_ms / 1000
        while full := {place: answer for place, answer in enumerate(answers) if isinstance(answer, QueueFull)}:
            is_over = asyncio.get_running_loop().time() > gives_up_at_s
            spilled = [place for place, answer in full.items() if is_over or not answer.is_closing]
            if spilled:
                _put(answers, spilled, await self._spill([batch[place] for place in spilled]))
            else:
                await asyncio.sleep(CLOSING_S)
                _put(answers, [*full], await self._add_all([batch[place] for place in full], terms))
        return answers

    async def _spill(self, jobs: Sequence[NewJob]) -> Sequence[Added | Exception]:
        """An error is the answer of each, so that those which are in Redis are known."""
        try:
            return await self._enqueuer.outbox().spill(jobs)
        except (DatabaseUnavailable, OutcomeUnknown) as error:
            return [error] * len(jobs)

    async def _add_all(self, batch: list[NewJob], terms: Terms) -> Sequence[Added | Exception]:
        """What became of each job; those of one queue leave in one write."""
        by_queue: defaultdict[str, list[int]] = defaultdict(list)
        for place, job in enumerate(batch):
            by_queue[job.queue].append(place)
        if len(by_queue) == 1:
            return await self._add_to(self._enqueuer.queue_named(batch[0].queue), batch, terms)
        answers: list[Added | Exception] = [OutcomeUnknown()] * len(batch)
        adding = [
            self._add_to(self._enqueuer.queue_named(name), [batch[place] for place in places], terms)
            for name, places in by_queue.items()
        ]
        for places, added in zip(by_queue.values(), await asyncio.gather(*adding), strict=True):
            for place, answer in zip(places, added, strict=True):
                answers[place] = answer
        return answers

    async def _add_to(self, queue: Queue, jobs: Sequence[NewJob], terms: Terms) -> Sequence[Added | Exception]:
        """Those that a server refused which is not the one to ask, or not yet, are asked for again in time."""
        answers: list[Added | Exception] = []
        try:
            async with asyncio.timeout(self._enqueuer.settings.redis_call_ms / 1000):
                answers += await queue.add_all(jobs, repeat(terms))
                await _add_refused(queue, jobs, terms, answers)
        except TimeoutError as error:
            if not answers:
                raise in_doubt_about(queue, error) from error
        return [in_doubt_about(queue, one) if isinstance(one, ConnectionLost) else one for one in answers]

    def _encode_each(self, items: Iterable[Item], asked: CheckedOptions) -> Iterator[NewJob]:
        for position, item in enumerate(items):
            try:
                yield self._enqueuer.encode(*_pair(item), asked)
            except EnqueueError as error:
                raise error.at(position) from None


def _put(answers: list[Added | Exception], places: Sequence[int], those: Sequence[Added | Exception]) -> None:
    for place, answer in zip(places, those, strict=True):
        answers[place] = answer


class _Sent(NamedTuple):
    """A batch on its way."""

    batch: list[NewJob]
    adding: asyncio.Task[Sequence[Added | Exception]]


async def _take(sent: deque[_Sent], stored: EnqueuedJobs, on_progress: OnProgress | None) -> None:
    """Wait for the answers to the batch that was sent first. Raises: the first error among them."""
    batch, adding = sent.popleft()
    try:
        answers = await adding
    except asyncio.CancelledError:
        sent.appendleft(_Sent(batch, adding))
        raise
    stored.extend(batch, answers)
    for answer in answers:
        if isinstance(answer, Exception):
            raise answer
    if on_progress is not None:
        on_progress(len(stored))


async def _end_all(sent: deque[_Sent]) -> None:
    for _, adding in sent:
        adding.cancel()
    await asyncio.gather(*(adding for _, adding in sent), return_exceptions=True)


async def _add_refused(queue: Queue, jobs: Sequence[NewJob], terms: Terms, answers: list[Added | Exception]) -> None:
    """Add again, in order, those that were refused for now, until none is."""
    pause = Pause()
    while True:
        refused = [
            place
            for place, answer in enumerate(answers)
            if isinstance(answer, Exception) and is_refused_for_now(answer)
        ]
        if not refused:
            return
        await pause.rest()
        for place in refused:  # from here until the answer is there, nobody knows
            answers[place] = ConnectionLost(queue.client.address, "no answer in time")
        try:
            again = await queue.add_all([jobs[place] for place in refused], repeat(terms))
        except RedisUnavailable as error:
            again = [error] * len(refused)
        for place, answer in zip(refused, again, strict=True):
            answers[place] = answer


def _sending(batch: Sequence[NewJob]) -> Sending:
    queues = {job.queue for job in batch}
    return Sending("addBulk", queues.pop() if len(queues) == 1 else None, [job.name for job in batch])


def _pair(item: object) -> Item:
    """Raises: EnqueueError where the item is something else than (handler, payload)."""
    pair: tuple[Any, ...] = cast(Any, item) if isinstance(item, tuple) else ()
    if len(pair) != 2:
        raise EnqueueError(f"must be a pair (handler, payload), not {item!r:.100}")
    return pair


def _batches(jobs: Iterator[NewJob], *, whole: bool) -> Iterator[list[NewJob]]:
    batch: list[NewJob] = []
    size = 0
    for job in list(jobs) if whole else jobs:
        batch.append(job)
        size += len(job.data)
        if len(batch) == BATCH or size >= _BATCH_CHARACTERS:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
