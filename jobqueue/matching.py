"""Matching: which subscriptions an outcome is for. Learns the name and the related object of jobs, once per job."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal, NamedTuple, Protocol, TypeAlias

from jobqueue import wire
from jobqueue.errors import RedisReplyError
from jobqueue.job import Related
from jobqueue.queue import Queue
from jobqueue.redis.retry import until_answered
from jobqueue.stream import Listener, Position, StreamEvent, StreamReader

OutcomeState: TypeAlias = Literal["completed", "failed", "retried"]

OUTCOMES: Final[Mapping[str, OutcomeState]] = {
    "completed": "completed",
    "failed": "failed",
    "attempt-failed": "retried",
}
"""The events that tell how a try ended. The last one is ours: BullMQ has none for a try that another follows."""

_SIGHTS = OUTCOMES.keys() | {"active"}
"""When a job's data is read, where they are asked for: before it can be gone. Not at `added`, of which a bulk enqueue
makes so many at once that the stream would be trimmed faster than it is read."""

_REMEMBERED = 10_000
_READ_AT_ONCE = 100


@dataclass(frozen=True, slots=True)
class ByJob:
    """The outcomes of one job."""

    job_id: str


@dataclass(frozen=True, slots=True)
class ByHandler:
    """The outcomes of every job of a handler."""

    name: str


@dataclass(frozen=True, slots=True)
class ByRelated:
    """The outcomes of every job that is about an object."""

    related: Related


Selection: TypeAlias = ByJob | ByHandler | ByRelated


class Matched(NamedTuple):
    """An outcome that somebody asked for. `name` and `attempt` are None where the job was gone before it was read."""

    event: StreamEvent
    name: str | None
    attempt: int | None


class Receiver(Protocol):
    """A subscription, as the matcher sees it."""

    @property
    def selection(self) -> Selection: ...

    def put(self, matched: Matched) -> None:
        """The next outcome; must not wait."""

    def interrupt(self) -> None:
        """Outcomes before the next one may be lost."""

    def close(self) -> None:
        """The app was closed."""


class _Facts(NamedTuple):
    """What is known of a job. Where not `is_read`, the related object is not known yet."""

    name: str | None
    related: Related | None = None
    is_read: bool = False


class Matcher(Listener):
    """The subscriptions to one queue.

    Invariant: `_facts` is bounded, and what fell out of it is read again. A name comes from the `added` event; only
    where somebody asks by related object the data of each job is read, when it starts.
    """

    def __init__(self, queue: Queue, reader: StreamReader) -> None:
        self._queue = queue
        self._reader = reader
        self._receivers: dict[Selection, dict[Receiver, None]] = {}
        self._facts: OrderedDict[str, _Facts] = OrderedDict()

    async def add(self, receiver: Receiver) -> Position:
        """Every outcome after the position that this returns will be put; some before it may be, too.

        Waits while Redis is away. Raises: ClientClosed.
        """
        self._receivers.setdefault(receiver.selection, {})[receiver] = None
        await self._reader.attach(self)
        return await until_answered(self._reader.last)

    def remove(self, receiver: Receiver) -> None:
        """Twice is fine."""
        receivers = self._receivers.get(receiver.selection, {})
        receivers.pop(receiver, None)
        if not receivers:
            self._receivers.pop(receiver.selection, None)
        if not self._receivers:
            self._reader.detach(self)
            self._facts.clear()

    # What the reader calls

    async def take(self, events: Sequence[StreamEvent]) -> None:
        for event in events:
            self._hear_name(event)
        await self._learn(events)
        matched = [(event, receivers) for event in events if (receivers := self._receivers_of(event))]
        tries = await self._tries(events, [event for event, _ in matched])
        for event, receivers in matched:
            name, attempt = tries[event.position]
            for receiver in receivers:
                receiver.put(Matched(event, name, attempt))

    async def resume(self, *, missed: bool) -> None:
        if missed:
            self._facts.clear()
            for receiver in self._all():
                receiver.interrupt()

    def end(self) -> None:
        for receiver in self._all():
            receiver.close()

    def _all(self) -> Iterator[Receiver]:
        return (receiver for receivers in tuple(self._receivers.values()) for receiver in tuple(receivers))

    def _receivers_of(self, event: StreamEvent) -> Sequence[Receiver]:
        if event.kind not in OUTCOMES:
            return ()
        facts = self._facts.get(event.job_id, _Facts(None))
        selections: list[Selection] = [ByJob(event.job_id)]
        if facts.name is not None:
            selections.append(ByHandler(facts.name))
        if facts.related is not None:
            selections.append(ByRelated(facts.related))
        return [receiver for selection in selections for receiver in self._receivers.get(selection, ())]

    # What is known of jobs

    def _hear_name(self, event: StreamEvent) -> None:
        """What an event says by itself. An id that is added may have been another job's before."""
        name = event.fields.get("name")
        is_news = event.kind == "added" or (event.kind == "attempt-failed" and event.job_id not in self._facts)
        if name is not None and is_news:
            self._remember(event.job_id, _Facts(name))

    async def _learn(self, events: Iterable[StreamEvent]) -> None:
        """Read what the subscriptions ask for and the events did not say. Nothing, where they ask by id only."""
        kinds = {type(selection) for selection in self._receivers}
        if ByRelated in kinds:
            seen = {event.job_id for event in events if event.kind in _SIGHTS}
            unknown = [job_id for job_id in seen if not self._facts.get(job_id, _Facts(None)).is_read]
            for job_id, (name, data) in (await self._read(unknown, "name", "data")).items():
                known = self._facts.get(job_id, _Facts(None)).name
                self._remember(job_id, _Facts(name or known, _related_in(data), is_read=True))
        elif ByHandler in kinds:
            ended = {event.job_id for event in events if event.kind in OUTCOMES}
            unknown = [job_id for job_id in ended if job_id not in self._facts]
            for job_id, (name,) in (await self._read(unknown, "name")).items():
                self._remember(job_id, _Facts(name))

    def _remember(self, job_id: str, facts: _Facts) -> None:
        self._facts[job_id] = facts
        self._facts.move_to_end(job_id)
        while len(self._facts) > _REMEMBERED:
            self._facts.popitem(last=False)

    # Which try it was

    async def _tries(
        self, events: Sequence[StreamEvent], matched: Sequence[StreamEvent]
    ) -> dict[Position, tuple[str | None, int | None]]:
        """The name and the number of the try of each matched outcome.

        A final one does not say its number; the job does, unless it is gone or was taken up again.
        """
        said = dict(_numbers_said(events))
        unsaid = {event.job_id for event in matched if event.position not in said}
        stored = await self._read(unsaid, "name", "atm", "finishedOn")
        tries: dict[Position, tuple[str | None, int | None]] = {}
        for event in matched:
            stored_name, made, finished = stored.get(event.job_id, (None, None, None))
            name = event.fields.get("name") or self._facts.get(event.job_id, _Facts(None)).name or stored_name
            tries[event.position] = (name, said.get(event.position, _whole(made) if finished else None))
        return tries

    async def _read(self, job_ids: Iterable[str], *fields: str) -> dict[str, Sequence[str | None]]:
        """Fields of jobs, many in one round trip; None for what is not there."""
        wanted, found = list(job_ids), dict[str, Sequence[str | None]]()
        for start in range(0, len(wanted), _READ_AT_ONCE):
            some = wanted[start : start + _READ_AT_ONCE]
            found |= zip(some, await asyncio.gather(*(self._fields(job_id, fields) for job_id in some)), strict=True)
        return found

    async def _fields(self, job_id: str, fields: Sequence[str]) -> Sequence[str | None]:
        try:
            reply: Sequence[str | None] = await until_answered(
                lambda: self._queue.client.call("HMGET", self._queue.keys.job(job_id), *fields)
            )
        except RedisReplyError:  # a foreign tool wrote something else there: it is no job
            return [None] * len(fields)
        return reply


def _numbers_said(events: Sequence[StreamEvent]) -> Iterator[tuple[Position, int]]:
    """The tries that the stream itself tells: of a failed one, and, right after it, of the last one of all."""
    for event, following in pairwise((*events, None)):
        if event is None:
            continue
        told = event if event.kind == "attempt-failed" else None
        field = "attempt"
        if event.kind == "failed" and following is not None and following.kind == "retries-exhausted":
            told, field = following, "attemptsMade"
        number = _whole(told.fields.get(field)) if told is not None else None
        if number is not None:
            yield event.position, number


def _whole(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdigit() else None


def _related_in(data: str | None) -> Related | None:
    """What cannot be read is about nothing."""
    try:
        return wire.decode_data(data).related if data is not None else None
    except ValueError:
        return None
