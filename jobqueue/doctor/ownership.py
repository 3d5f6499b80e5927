"""Ownership: what was found in a queue that has lost its owner, as checks: ours, gates that nobody mends, BullMQ's."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from jobqueue.doctor.check import Check, some_of
from jobqueue.doctor.leaks import Found
from jobqueue.doctor.rules import Subject
from jobqueue.queue import Queue

_FIX = "Run jobqueue doctor --fix, beside workers or without: what has found an owner by then is left alone."


def check_own_keys(queue: Queue, found: Found, max_scanned: int) -> Check:
    """Keys of ours that have lost their owner: a lane or a mark without its job, anything without an end."""
    name, lost = f"own keys of {queue.name}", found.of("leaked", is_ours=True)
    endless, strange = found.of("endless", is_ours=True), found.of("strange", is_ours=True)
    in_part = _in_part(found, max_scanned)
    if not (lost or endless or strange):
        return Check(name, "ok", f"{found.own_keys}, none without an owner{in_part}")
    told = [
        f"{len(several)} of {found.own_keys} {what}: {some_of(_keys(queue, several))}"
        for several, what in ((lost, "have no owner"), (endless, "have no end"), (strange, "hold something else"))
        if several
    ]
    advice = _FIX if lost or endless else "Look at them, and delete them with UNLINK."
    return Check(name, "warning", "; ".join(told) + in_part, advice)


def check_gates(queue: Queue, found: Found) -> Check:
    """Order keys and limits whose parked jobs wait for ever if the holder dies."""
    name, gates = f"order keys and limits of {queue.name}", found.of("unattended", is_ours=True)
    if not gates:
        return Check(name, "ok", "every one with parked jobs is looked after")
    shown = some_of(_keys(queue, gates))
    detail = f"{len(gates)} with parked jobs are not in {queue.keys.parked()}, so no worker mends them: {shown}"
    return Check(name, "warning", detail, f"{_FIX} A worker mends them within seconds.")


def check_bullmq_keys(queue: Queue, found: Found, max_scanned: int) -> Check:
    """What BullMQ's own scripts would never come to again: jobs in no list, entries and locks without a job."""
    name, lost = f"BullMQ's keys of {queue.name}", found.of("leaked", is_ours=False)
    in_part = _in_part(found, max_scanned)
    if not lost:
        return Check(name, "ok", f"{found.others}, nothing is left over{in_part}")
    kinds = Counter(one.rule.kind for one in lost)
    told = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common())
    return Check(name, "warning", f"left over are {told}: {some_of([*map(str, lost)])}{in_part}", _FIX)


def _keys(queue: Queue, subjects: Sequence[Subject]) -> list[str]:
    return [queue.keys.of(one.name) for one in subjects]


def _in_part(found: Found, max_scanned: int) -> str:
    return "" if found.is_whole else f" (found among {max_scanned} keys; Redis holds more)"
