"""Bulk acts: one act on many jobs, given by their ids or found by a filter. Bounded in time; the caller repeats."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from time import monotonic
from typing import Final, Literal, Protocol, TypeAlias, get_args

from jobqueue.errors import EnqueueError, InvalidOption, JobError
from jobqueue.inspector.auditing import line
from jobqueue.inspector.searching import Search
from jobqueue.job import State
from jobqueue.queue import Queue

Act = Literal["retry", "cancel", "promote", "remove"]
"""What may be done to many jobs at once."""

ACTS: Final[tuple[Act, ...]] = get_args(Act)
MAX_IDS: Final = 1_000
MAX_PROBLEMS: Final = 20
TIME_LIMIT_S: Final = 20.0
"""After so long a bulk act stops, and says that it is not complete."""

_SLOT = re.compile(r"repeat:(?P<scheduler>.*):(?P<at>[0-9]+)", re.DOTALL)
_AT_ONCE: Final = 100
_LOOK: Final = 500

_WAITING: Final[tuple[State, ...]] = ("waiting", "prioritized", "delayed", "waiting-children")
STATES_OF: Final[Mapping[Act, tuple[State, ...]]] = {
    "retry": ("failed",),
    "promote": ("delayed",),
    "cancel": (*_WAITING, "active"),
    "remove": (*_WAITING, "completed", "failed"),
}
"""In which states a job can be so treated."""

_Refusals = (JobError, EnqueueError)


@dataclass(frozen=True, slots=True)
class Bulk:
    """What came of an act on many jobs. `problems` tells of the first MAX_PROBLEMS that were refused: job id -> why.

    `complete` is False where the time ran out before all were treated: the same call goes on. `entry` is the id of its
    audit entry; None where that could not be finished.
    """

    done: int
    refused: int
    problems: Mapping[str, str]
    complete: bool
    entry: str | None = field(default=None, compare=False)


ActOn: TypeAlias = Callable[[str], Awaitable[object]]
"""Acts on the job of that id. Raises: what an act on one job raises."""

PassedOver: TypeAlias = Callable[[Sequence[str]], Awaitable[Collection[str]]]
"""Which of some jobs are left as they are, and not counted."""


async def nobody(_job_ids: Sequence[str]) -> Collection[str]:
    return ()


class Look(Protocol):
    """Looks at some jobs of a state, the newest first, from a rank on: those that match, and where to go on."""

    async def __call__(self, first: int, most: int) -> Search: ...


@dataclass(slots=True)
class Deadline:
    """When an act that takes long stops. `was_met` as long as nobody was told to stop."""

    ends_at_s: float = field(default_factory=lambda: monotonic() + TIME_LIMIT_S)
    was_met: bool = True

    def goes_on(self) -> bool:
        self.was_met = monotonic() < self.ends_at_s
        return self.was_met


@dataclass(slots=True)
class Batches:
    """Acts on jobs, many at a time, each at most once, until all are treated or the time is up."""

    act_on: ActOn
    deadline: Deadline = field(default_factory=Deadline)
    attempted: set[str] = field(default_factory=set[str])
    done: int = 0
    refused: int = 0
    problems: dict[str, str] = field(default_factory=dict[str, str])

    def outcome(self, *, complete: bool) -> Bulk:
        return Bulk(self.done, self.refused, dict(self.problems), complete)

    async def treat(self, job_ids: Sequence[str]) -> bool:
        """Act on jobs that were not treated before; False where the time was up before all were.

        Raises: what is no refusal of one job, when the calls in flight have ended.
        """
        wanted = [job_id for job_id in dict.fromkeys(job_ids) if job_id not in self.attempted]
        for start in range(0, len(wanted), _AT_ONCE):
            if not self.deadline.goes_on():
                return False
            batch = wanted[start : start + _AT_ONCE]
            self.attempted.update(batch)
            self._count(batch, await asyncio.gather(*map(self.act_on, batch), return_exceptions=True))
        return True

    def _count(self, batch: Sequence[str], answers: Sequence[object]) -> None:
        for job_id, answer in zip(batch, answers, strict=True):
            if isinstance(answer, _Refusals):
                self.refused += 1
                if len(self.problems) < MAX_PROBLEMS:
                    self.problems[line(job_id)] = line(str(answer))
            elif isinstance(answer, BaseException):
                raise answer
            else:
                self.done += 1


async def act_on_ids(act_on: ActOn, job_ids: Sequence[str]) -> Bulk:
    batches = Batches(act_on)
    return batches.outcome(complete=await batches.treat(job_ids))


async def act_on_all(act_on: ActOn, look: Look, passed_over: PassedOver = nobody) -> Bulk:
    """Act on all jobs of a state that match, the newest first.

    Jobs leave a state at its old end, by workers, and join it at the other; so it is looked at from there, and what
    comes meanwhile moves jobs into the next look, not out of it. What was treated is taken for gone; what stayed all
    the same is known when it is seen again. So each look comes to something new, and the scan to its end.
    """
    batches, rank = Batches(act_on), 0
    while batches.deadline.goes_on():
        found, scanned_to = await look(rank, _LOOK)
        fresh = [one.id for one in found if one.id not in batches.attempted]
        stay = await passed_over(fresh)
        wanted = [job_id for job_id in fresh if job_id not in stay]
        if not await batches.treat(wanted):
            break
        if scanned_to is None:
            return batches.outcome(complete=True)
        rank = max(scanned_to - len(wanted), 0)
    return batches.outcome(complete=False)


async def next_of_schedulers(queue: Queue, job_ids: Sequence[str]) -> Collection[str]:
    """Those that are the next job of a job scheduler: promoted, they would run in its slot's place."""
    slots = {job_id: match for job_id in job_ids if (match := _SLOT.fullmatch(job_id))}
    if not slots:
        return ()
    names = [match["scheduler"] for match in slots.values()]
    next_ms = await queue.client.call("ZMSCORE", queue.keys.of("repeat"), *names)
    return {job_id for (job_id, match), at in zip(slots.items(), next_ms, strict=True) if at == match["at"]}


def check_ids(job_ids: Sequence[str]) -> None:
    """Raises: InvalidOption."""
    if len(job_ids) > MAX_IDS:
        raise InvalidOption("job_ids", f"must be at most {MAX_IDS}, not {len(job_ids)}")


def check_act(act: object, state: State | None = None) -> None:
    """Raises: InvalidOption for an act that is none, or that cannot be done to the jobs of a state."""
    if act not in ACTS:
        raise InvalidOption("act", f"must be one of {', '.join(ACTS)}, not {act!r:.100}")
    if state is not None and state not in (possible := STATES_OF[act]):
        raise InvalidOption("act", f"{act} is for jobs that are {', '.join(possible)}, not {state!r:.100}")
