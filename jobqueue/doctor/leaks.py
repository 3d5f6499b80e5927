"""Leaks: what has lost its owner in a queue, found beside a running system, and removed where that is asked."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from jobqueue.app import App
from jobqueue.doctor.rules import ENTRIES, JOB, KINDS, MARKER, Rule, Subject, is_own, subject_of
from jobqueue.doctor.scanning import entries_of, keys_like
from jobqueue.job import QUEUE_NAME
from jobqueue.packing import pack
from jobqueue.queue import Queue
from jobqueue.scripts import own

MAX_SCANNED: Final = 1_000_000
"""Keys of Redis, and entries of each list, that are looked at; of what is larger a part is, and that is said."""
MAX_SUSPECTS: Final = 100_000
"""Keys and entries that are remembered between the looks."""
LOOK_AGAIN_S: Final = 2.5
"""Workers repair what they find every two seconds."""

_AT_ONCE: Final = 100
_WALKED_AT_ONCE: Final = 1_000_000
"""Entries of the waiting list that one call may walk: some ten milliseconds of Redis's time."""
_SAMPLED: Final = 20
_GLOB: Final = re.compile(r"([\\*?\[\]])")

_IN_PORTIONS: Final = ("members", "line", "gate", "index")

Verdict: TypeAlias = Literal["owned", "leaked", "endless", "unattended", "unlisted", "strange"]
"""See `lua/judgeLeaks.lua`."""
_LOST: Final[Mapping[Verdict, str]] = {
    "endless": "it has lost its time limit",
    "unattended": "its parked jobs are let go by nobody if the holder dies",
    "strange": "it holds something else",
}
Judged: TypeAlias = Mapping[Subject, Verdict]


@dataclass(frozen=True, slots=True)
class Found:
    """What two looks at a queue have found. `is_whole` is False where the queue holds more than was looked at.

    `own_keys` counts the keys of ours that were seen, `others` those of BullMQ.
    """

    own_keys: int
    others: int
    judged: Judged
    is_whole: bool

    def of(self, *verdicts: Verdict, is_ours: bool) -> list[Subject]:
        return [one for one, verdict in self.judged.items() if verdict in verdicts and one.rule.is_ours is is_ours]

    @property
    def mendable(self) -> list[Subject]:
        """All but what holds something else than its name says, which only a person can judge."""
        return [one for one, verdict in self.judged.items() if verdict != "strange"]


@dataclass(frozen=True, slots=True)
class Leak:
    """All of one kind: what it is, how many there are, some of them, and the memory that they take, from a sample.

    `bytes` is 0 for entries, which take a few bytes of their list.
    """

    kind: str
    is_ours: bool
    lost: str
    count: int
    examples: Sequence[str]
    bytes: int


async def queues_of(app: App, *, max_scanned: int = MAX_SCANNED) -> tuple[str, ...]:
    """Every queue of the prefix, also one of which nothing but keys of ours is left; those of the registry first."""
    names = dict.fromkeys(app.queue_names())
    beginning = app.settings.jobs_prefix + ":"
    async for keys, _ in keys_like(app.client, _GLOB.sub(r"\\\1", beginning) + "*:*", max_scanned):
        for key in keys:
            name, _, rest = key.removeprefix(beginning).partition(":")
            if re.fullmatch(QUEUE_NAME, name) and (rest == "meta" or is_own(rest)):
                names[name] = None
    return tuple(names)


async def search(queue: Queue, *, max_scanned: int = MAX_SCANNED, pause_s: float = LOOK_AGAIN_S) -> Found:
    """What has lost its owner. What looks like it is looked at again after a pause, and left out if it has one then.

    Concurrency: reads only, a batch at a time, beside any number of workers.
    """
    seen, suspects, is_whole = await _suspects(queue, max_scanned)
    if suspects:
        await asyncio.sleep(pause_s)  # so that what is on its way arrives
    judged = await _judged(queue, suspects, "judge")
    return Found(seen[True], seen[False], judged, is_whole)


async def mend(queue: Queue, found: Found) -> Judged:
    """Remove what is still leaked, give back a time limit or a place in the index; returns what was done so.

    Concurrency: each is judged once more in the step that mends it, so what has found an owner meanwhile stays.
    """
    done, asked = dict[Subject, Verdict](), found.mendable
    while asked:
        judged, asked = await _judged(queue, asked, "mend"), []
        for one, verdict in judged.items():
            if verdict != "strange":
                done[one] = verdict
            # Of a set or zset a thousand members are looked at in one call: the rest comes with the next ones.
            if verdict == "leaked" and one.rule.word in _IN_PORTIONS:
                asked.append(one)
    return done


async def described(queue: Queue, judged: Judged) -> list[Leak]:
    """The kinds, the largest first. Memory is that of some of them, times how many there are."""
    several_of = dict[tuple[Rule, Verdict], list[Subject]]()
    for one, verdict in judged.items():
        several_of.setdefault((one.rule, verdict), []).append(one)
    leaks = [
        Leak(
            kind=rule.kind,
            is_ours=rule.is_ours,
            lost=_LOST.get(verdict, rule.lost),
            count=len(several),
            examples=sorted(map(str, several))[:3],
            bytes=await _memory(queue, several),
        )
        for (rule, verdict), several in several_of.items()
    ]
    return sorted(leaks, key=lambda leak: leak.count, reverse=True)


async def _memory(queue: Queue, several: Sequence[Subject]) -> int:
    if several[0].rule.word in ("listed", "stalled"):
        return 0
    some = several[:: max(1, len(several) // _SAMPLED)][:_SAMPLED]
    sizes = await asyncio.gather(*(queue.client.call("MEMORY", "USAGE", queue.keys.of(one.name)) for one in some))
    return round(sum(size or 0 for size in sizes) * len(several) / len(some))


# The first look


async def _suspects(queue: Queue, max_scanned: int) -> tuple[dict[bool, int], list[Subject], bool]:
    """How many keys there are, ours (True) and others; what seems to have no owner; whether all was looked at."""
    seen, is_whole, found = {True: 0, False: 0}, False, list[Subject]()
    unlisted = dict[str, Subject]()
    async for keys, is_last in keys_like(queue.client, _GLOB.sub(r"\\\1", queue.keys.base) + "*", max_scanned):
        is_whole = is_last
        subjects = [subject for key in keys if (subject := subject_of(queue.keys, key)) is not None]
        for key in keys:
            seen[key.startswith(queue.keys.of("job:"))] += 1
        for one, verdict in (await _judged(queue, subjects, "glance")).items():
            if verdict == "unlisted":
                unlisted[one.id] = one
            else:
                found.append(one)
        if len(found) + len(unlisted) > MAX_SUSPECTS:
            await _drop_waiting(queue, unlisted)
        if len(found) + len(unlisted) > MAX_SUSPECTS:
            is_whole = False
            break
    await _drop_waiting(queue, unlisted)
    async for one in _suspect_entries(queue, max_scanned):
        found.append(one)
        if len(found) > MAX_SUSPECTS:
            is_whole = False
            break
    return seen, [*dict.fromkeys([*found, *unlisted.values()])], is_whole


async def _drop_waiting(queue: Queue, unlisted: dict[str, Subject]) -> None:
    """Take those out that wait: one walk through the lists, which are long, instead of one for each job."""
    for state in ("wait", "paused"):
        if unlisted:
            async for ids in entries_of(queue.client, "list", queue.keys.of(state)):
                for job_id in ids:
                    unlisted.pop(job_id, None)


async def _suspect_entries(queue: Queue, max_scanned: int) -> AsyncIterator[Subject]:
    """Entries of lists for which there is no job, or that is not active; and the marker."""
    for state, kind in KINDS.items():
        looked_at, rule = 0, ENTRIES[state]
        async for ids in entries_of(queue.client, kind, queue.keys.of(state)):
            entries = [Subject(rule, state, job_id) for job_id in ids if not job_id.startswith("0:")]
            for one in await _judged(queue, entries, "glance"):
                yield one
            looked_at += len(ids)
            if looked_at >= max_scanned:
                break
    for one in await _judged(queue, [Subject(MARKER, "marker")], "glance"):
        yield one


# Judging


async def _judged(queue: Queue, subjects: Iterable[Subject], mode: Literal["glance", "judge", "mend"]) -> Judged:
    """Those that are not in order, with what the script said of them."""
    asked = tuple(subjects)
    waiting = 0
    if mode != "glance" and any(one.rule is JOB for one in asked):
        waiting = await queue.client.call("LLEN", queue.keys.of("wait"))
    found = dict[Subject, Verdict]()
    size = max(1, min(_AT_ONCE, _WALKED_AT_ONCE // (waiting + 1)))
    for some in (asked[first : first + size] for first in range(0, len(asked), size)):
        args = (queue.keys.base, mode, pack([one.packed() for one in some]))
        verdicts: list[Verdict] = await queue.client.run(own("judgeLeaks"), [queue.keys.of("meta")], args)
        found |= {one: verdict for one, verdict in zip(some, verdicts, strict=True) if verdict != "owned"}
    return found
