"""Slot rules: a row's slots, one for one: which ran, which did not, and whether the row's policy says so."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Literal, NamedTuple, TypeAlias, cast

from scripts.chaos.cron_ground import Made
from scripts.chaos.slots import Start

Why: TypeAlias = Literal["skipped", "missed", "dropped", "failed", "open", "unmade"]
"""Why a slot has no run: skipped by its overlap, missed by its misfire, dropped because the slot before was picked up
after it; those three are policy. It failed, it has no end, or nobody made its job in time: those are not."""


class Gap(NamedTuple):
    """A slot without a run, and what is known of that."""

    slot_ms: int
    why: Why
    seen: str


@dataclass(frozen=True, slots=True)
class Row:
    """The policies of a row and the length between two slots of it."""

    job_id: str
    overlap: str
    misfire: str
    period_ms: int


def gaps(row: Row, jobs: Sequence[Made], begun: Iterable[Start]) -> list[Gap]:
    """The slots from the first job to the last that have no run."""
    ran = {one.job_id for one in begun}
    by_slot = {job.slot_ms: job for job in jobs}
    by_id = {job.job_id: job for job in jobs}
    found = [_of_job(row, job, by_id) for job in jobs if job.job_id not in ran]
    for before, after in pairwise(jobs):
        between = range(before.slot_ms + row.period_ms, after.slot_ms, row.period_ms)
        found += [_of_none(row, slot_ms, before, after) for slot_ms in between if slot_ms not in by_slot]
    return sorted(found)


def _of_job(row: Row, job: Made, by_id: Mapping[str, Made]) -> Gap:
    """A slot whose job never ran: the result must say why, and it must be so."""
    result = cast(dict[str, Any], job.result) if isinstance(job.result, dict) else {}
    seen = f"{job.job_id} ended {job.result if job.failed is None else job.failed!r}"
    if job.failed is not None:
        return Gap(job.slot_ms, "failed", seen)
    if not job.finished_ms:
        return Gap(job.slot_ms, "open", seen)
    holder = by_id.get(str(result.get("holder")))
    if row.overlap == "skip" and holder is not None and _holds(holder, job):
        return Gap(job.slot_ms, "skipped", f"{seen}; the holder ended at {holder.finished_ms - job.slot_ms:+d} ms")
    if row.misfire == "skip" and result.get("reason") == "missed" and job.picked_ms >= job.slot_ms + row.period_ms:
        return Gap(job.slot_ms, "missed", f"{seen}; picked up {job.picked_ms - job.slot_ms} ms late")
    return Gap(job.slot_ms, "unmade", f"{seen}; picked up at {job.picked_ms - job.slot_ms:+d} ms")


def _holds(holder: Made, job: Made) -> bool:
    """Whether another slot's job was unfinished when this one was picked up. It may be a later slot's: that of a worker
    that died before its run began is delivered again after the next one.
    """
    return holder.slot_ms != job.slot_ms and (not holder.finished_ms or holder.finished_ms >= job.picked_ms)


def _of_none(row: Row, slot_ms: int, before: Made, after: Made) -> Gap:
    """A slot without a job: the slot before must have been picked up after it, so that it was past already."""
    seen = f"slot {slot_ms}: the one of {before.slot_ms} was followed at {after.made_ms - before.slot_ms:+d} ms"
    is_past = after.made_ms >= slot_ms and after.slot_ms - after.made_ms <= row.period_ms
    return Gap(slot_ms, "dropped" if is_past else "unmade", seen)


def unlike_policy(several: Iterable[Gap]) -> list[str]:
    """Gaps that no policy explains."""
    return [f"{gap.why}: {gap.seen}" for gap in several if gap.why in ("failed", "open", "unmade")]


def without_death(several: Iterable[Gap], deaths_ms: Sequence[int], within_ms: int) -> list[str]:
    """Gaps of slots that were picked up late though no worker had died for so long: something else is the cause."""
    return [
        f"{gap.why}: {gap.seen}"
        for gap in several
        if gap.why in ("dropped", "missed")
        and not any(-1_000 <= gap.slot_ms - death_ms <= within_ms for death_ms in deaths_ms)
    ]


def longest_pause_ms(begun: Sequence[Start]) -> int:
    """The longest time from the start of a run to that of the next one."""
    return max(((after.at_us - before.at_us) // 1_000 for before, after in pairwise(begun)), default=0)


def longest_making_ms(jobs: Sequence[Made], ended_ms: int) -> int:
    """The longest time from a slot to the making of the next one's job: at its pick-up, or by the repair. From the last
    one it is the time to the end: a scheduler that has stopped makes none."""
    made_ms = [after.made_ms - before.slot_ms for before, after in pairwise(jobs)]
    return max([0, *made_ms, *(ended_ms - job.slot_ms for job in jobs[-1:])])
