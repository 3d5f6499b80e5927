"""Proof: what must be true of the channels at the end, asked of what a witness, the jobs and the chain have noted."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple, TypeVar

from sqlalchemy import select

from handlers.channel.chain import DEPOSITS
from handlers.channel.desk import Desk
from handlers.channel.models import ChainTransaction, Channel, Sighting, Step
from handlers.channel.states import FINAL, State, Transition


class Seen(NamedTuple):
    """A sighting as the proof looks at it: a job began or ended."""

    job_id: str
    enqueued_at_ms: int
    what: str


@dataclass(frozen=True, slots=True)
class Finding:
    """One promise: of how many things it was asked, and where it does not hold."""

    promise: str
    looked_at: str
    wrong: tuple[str, ...]

    @property
    def holds(self) -> bool:
        return not self.wrong


R = TypeVar("R")


def out_of_order(seen: Iterable[Seen]) -> list[str]:
    """The jobs that began, for the first time, before one that was enqueued earlier.

    Two that were enqueued in the same millisecond may have begun either way.
    """
    first = dict[str, Seen]()
    for one in seen:
        if one.what == "began":
            first.setdefault(one.job_id, one)
    pairs = pairwise(first.values())
    return [later.job_id for earlier, later in pairs if later.enqueued_at_ms < earlier.enqueued_at_ms]


def overlapping(seen: Iterable[Seen]) -> list[str]:
    """The jobs that began while another one of the channel was not over.

    A job may begin a second time without an end: its worker was killed. Nobody else may begin before that, not even
    where it was cancelled meanwhile: of that the witness knows nothing.
    """
    wrong, running = list[str](), None
    for one in seen:
        if running not in (None, one.job_id):
            wrong.append(one.job_id)
        running = one.job_id if one.what == "began" else None
    return wrong


def off_the_diagram(steps: Sequence[Transition], state: State, arrows: Iterable[Transition]) -> list[str]:
    """The steps that no arrow allows, or that do not begin where the one before them has ended."""
    allowed, at, wrong = frozenset(arrows), State.PENDING, list[str]()
    for step in steps:
        if step not in allowed or step.at != at:
            wrong.append(f"{step.at} by {step.by} to {step.to}")
        at = step.to
    return wrong if at == state else [*wrong, f"it is {state}, and its last step led to {at}"]


async def examine(desk: Desk, arrows: Sequence[Transition]) -> tuple[Finding, ...]:
    """Every promise, asked of everything that was noted."""
    async with desk.database.transaction() as session:
        channels = (await session.scalars(select(Channel).order_by(Channel.id))).all()
        sightings = (await session.scalars(select(Sighting).order_by(Sighting.number))).all()
        steps = (await session.scalars(select(Step).order_by(Step.number))).all()
        sent = (await session.scalars(select(ChainTransaction).order_by(ChainTransaction.number))).all()
    seen = {
        channel_id: [Seen(one.job_id, one.enqueued_at_ms, one.what) for one in some]
        for channel_id, some in _grouped(sightings, lambda one: one.channel_id).items()
    }
    walked = _grouped(steps, lambda one: one.channel_id)
    transactions = _grouped(sent, lambda one: one.channel_id)
    paths = {one.id: _path(walked[one.id]) for one in channels}
    legal = {one.id: off_the_diagram(paths[one.id], State(one.state), arrows) for one in channels}
    unended = {one.id: [] if one.state in FINAL else [f"it is {one.state}"] for one in channels}
    unfinished = {one.id: [f"{job.name} {job.id}" for job in await desk.unfinished(one.id)] for one in channels}
    untold = {one.id: [tx.key for tx in transactions[one.id] if not tx.is_told] for one in channels}
    money = {one.id: _wrong_money(one, transactions[one.id]) for one in channels}
    tries = f"{sum(one.what == 'began' for one in sightings)} tries"
    jobs = f"{len({one.job_id for one in sightings})} jobs"
    return (
        _finding("the jobs of a channel began in the order in which they were enqueued", jobs, seen, out_of_order),
        _finding("no two jobs of a channel ran at once", tries, seen, overlapping),
        Finding("every step is an arrow of the diagram", f"{len(steps)} steps", _told(legal)),
        Finding("every channel came to its end", f"{len(channels)} channels", _told(unended)),
        Finding("no job was lost", jobs, _told(unfinished)),
        Finding("no event of the chain was lost", f"{len(sent)} transactions", _told(untold)),
        Finding("what was deposited was paid or returned, once", f"{len(sent)} transactions", _told(money)),
    )


def _finding(
    promise: str, looked_at: str, seen: Mapping[str, Sequence[Seen]], check: Callable[[Iterable[Seen]], list[str]]
) -> Finding:
    return Finding(promise, looked_at, _told({channel_id: check(some) for channel_id, some in seen.items()}))


def _grouped(records: Iterable[R], key: Callable[[R], str]) -> Mapping[str, list[R]]:
    grouped = defaultdict[str, list[R]](list)
    for record in records:
        grouped[key(record)].append(record)
    return grouped


def _path(steps: Iterable[Step]) -> list[Transition]:
    return [Transition(State(one.at), one.by, State(one.to)) for one in steps]


def _wrong_money(channel: Channel, sent: Iterable[ChainTransaction]) -> list[str]:
    deposited = sum(one.amount for one in sent if one.kind in DEPOSITS)
    if deposited == channel.deposit == channel.paid + channel.returned:
        return []
    accounted = f"{channel.paid} were paid and {channel.returned} returned"
    return [f"{deposited} were deposited, {channel.deposit} are known, {accounted}"]


def _told(wrong: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    return tuple(f"{channel_id}: {what}" for channel_id, some in wrong.items() for what in some)
