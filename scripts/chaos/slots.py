"""The handlers of R9 and R10: they write down which slot, or which delayed job, ran when by a clock nobody can set."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Final, NamedTuple

from jobqueue import JobContext, Registry, make_job
from jobqueue.job import Keep
from scripts.chaos.ledger import Entry, Ledger

_ALL: Final = Keep()
_NONE: Final = Keep(count=0)
EACH_LONG: Final = 5
LONGER: Final = 4
"""The run of each fifth second takes four times as long: past the next slot, where slots come each second."""


class Work(NamedTuple):
    """What a run does: its kind, for the judge, and how long it takes."""

    kind: str
    work_ms: int


class Start(NamedTuple):
    """The beginning of a run. Units: `at_us` epoch microseconds of the machine's own clock."""

    job_id: str
    claim: int
    pid: int
    kind: str
    at_us: int


def steady_us() -> int:
    """Microseconds of the clock that is the same in all processes of a machine and that nothing sets."""
    return time.monotonic_ns() // 1_000


def _is_long(job_id: str) -> bool:
    due_ms = slot_ms(job_id)
    return due_ms is not None and due_ms // 1_000 % EACH_LONG == 0


async def _work(ctx: JobContext, work: Work) -> None:
    ledger, how = Ledger.of_environment(), "cut"
    ledger.start(ctx, work.kind, str(steady_us()))
    try:
        await asyncio.sleep(work.work_ms / 1000 * (LONGER if _is_long(ctx.job.id) else 1))  # the work
        how = "finished"
    finally:
        ledger.end(ctx, how)


@make_job(name="slot", max_claims=100, keep_completed=_ALL, keep_failed=_ALL)
async def slot(ctx: JobContext, work: Work) -> str:
    """A slot's run; its job stays for ever, so that Redis can tell what was made when."""
    await _work(ctx, work)
    return "ran"


@make_job(name="fleeting", max_claims=100, keep_completed=_NONE, keep_failed=_ALL)
async def fleeting(ctx: JobContext, work: Work) -> str:
    """A slot's run whose job is gone as soon as it is done: nothing in Redis says that the slot has run."""
    await _work(ctx, work)
    return "ran"


@make_job(name="later", max_claims=100, keep_completed=_ALL, keep_failed=_ALL)
async def later(ctx: JobContext, work: Work) -> str:
    """A delayed job's run."""
    await _work(ctx, work)
    return "ran"


registry = Registry([slot, fleeting, later])


def starts(entries: Iterable[Entry]) -> list[Start]:
    """The beginnings of runs in the order in which they happened."""
    ahead_us = time.time_ns() // 1_000 - steady_us()
    begun = [e for e in entries if e.what == "start"]
    found = [Start(e.job_id, e.claim, e.pid, e.key, int(e.note) + ahead_us) for e in begun]
    return sorted(found, key=lambda one: one.at_us)


def slot_ms(job_id: str) -> int | None:
    """The slot of a scheduler's job by its id, in epoch milliseconds; None for any other job."""
    word, _, rest = job_id.partition(":")
    return int(rest.rpartition(":")[2]) if word == "repeat" else None


def scheduler_of(job_id: str) -> str | None:
    """The scheduler of a slot's job by its id; None for any other job."""
    word, _, rest = job_id.partition(":")
    return rest.rpartition(":")[0] if word == "repeat" else None


def first_starts(begun: Iterable[Start]) -> dict[str, Start]:
    """The first start of each job. A slot's job may have been claimed before: it was parked, or its worker died."""
    found: dict[str, Start] = {}
    for one in begun:
        found.setdefault(one.job_id, one)
    return found


def again(begun: Iterable[Start]) -> list[tuple[Start, Start]]:
    """Every start of a job but its first one, with the start before it."""
    latest: dict[str, Start] = {}
    found: list[tuple[Start, Start]] = []
    for one in begun:
        if one.job_id in latest:
            found.append((latest[one.job_id], one))
        latest[one.job_id] = one
    return found


def twice(begun: Iterable[Start]) -> list[str]:
    """Slots whose job was made twice: claims are counted in the job, so a redelivered one has a greater number."""
    return [
        f"{one.job_id}: made and run again, {(one.at_us - before.at_us) / 1e6:.1f} s after"
        for before, one in again(begun)
        if slot_ms(one.job_id) is not None and one.claim <= before.claim
    ]
