"""Children: a tree of jobs stored in one step, and what became of a job's children, as BullMQ keeps it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any, Final, Literal, NamedTuple, TypeAlias, cast

from pydantic import JsonValue

from jobqueue import encoding, wire
from jobqueue.errors import DuplicateJob, InvalidOption, JobError, JobNotFound, JobNotInState, LockLost, RedisError
from jobqueue.handler import Handler
from jobqueue.job import PlainOptions
from jobqueue.packing import pack
from jobqueue.queue import Queue
from jobqueue.redis.client import Call
from jobqueue.scripts import Script, own
from jobqueue.ties import UniqueTie
from jobqueue.transitions import Added
from jobqueue.wire import PLACE, NewJob, OnFailure, ParentRef

_PAGE: Final = 500
_LAST: Final = 2**53
_DIGITS = re.compile(r"(\d+)")


class ChildOptions(PlainOptions, total=False):
    """What a caller may ask for a job that is another one's child.

    `on_failure` says what its failure means to the parent; without it the parent waits until the child is retried.
    """

    on_failure: OnFailure


@dataclass(frozen=True, slots=True)
class Child:
    """A job that its parent need not wait for any more.

    `name` is None where the job itself is not kept any more. `result` is what a completed one returned;
    `failed_reason` says why one failed whose failure its parent continues after or ignores.
    """

    job_id: str
    queue: str
    name: str | None
    state: Literal["completed", "failed"]
    result: JsonValue = None
    failed_reason: str | None = None


class Children(tuple[Child, ...]):
    """A job's children that have ended, in the order in which they were added.

    Where a child is not kept any more its place is not known either: it comes behind the others, by its id.
    """

    __slots__ = ()

    @property
    def completed(self) -> Children:
        return Children(child for child in self if child.state == "completed")

    @property
    def failed(self) -> Children:
        return Children(child for child in self if child.state == "failed")

    @property
    def results(self) -> list[JsonValue]:
        """What the completed ones returned."""
        return [child.result for child in self.completed]

    def of(self, handler: Handler[Any] | str) -> Children:
        """Those that this handler ran."""
        name = handler if isinstance(handler, str) else handler.name
        return Children(child for child in self if child.name == name)


# Storing

Placed: TypeAlias = tuple[Queue, NewJob]
"""A job and the queue that it goes to."""


async def add_together(jobs: Sequence[Placed], parent_token: str | None = None) -> Sequence[Added]:
    """Store a tree's jobs in one step, parents before their children: all of them, or none.

    With a `parent_token` only while the first one's parent is held under it.

    Each has an id of its own, and its ties are claimed in the same step. Where the first one exists, as a child of the
    same parent if it has one, nothing is stored and no job counts as created: so it is safe to ask again.
    Raises: InvalidOption where another one's id exists, DuplicateJob where one refuses duplicates and has one,
    JobNotFound, JobNotInState or LockLost where the first one's parent is over, or not held under the token; then
    nothing was stored. And what `Queue` raises.
    """
    verdict, *details = cast(list[Any], await jobs[0][0].client.run(*_one_call(jobs, parent_token)))
    if verdict == "added":
        return [_added(answer, job) for answer, (_, job) in zip(details[0], jobs, strict=True)]
    if verdict == "there":
        return [Added(job.job_id or "", created=False) for _, job in jobs]
    if verdict == "orphan":
        raise _orphaned(jobs[0][1], details[0])
    job = jobs[int(details[0]) - 1][1]
    if verdict == "duplicate":
        raise DuplicateJob(job.name, str(details[1]))
    raise InvalidOption("job_id", f"{job.job_id!r} exists already in queue {job.queue!r}, so nothing was stored")


def _one_call(jobs: Sequence[Placed], parent_token: str | None) -> Call:
    """The add scripts of all jobs as one script. Source: addFlow.lua."""
    calls = [queue.adding(job) for queue, job in jobs]
    numbers: dict[Script, int] = {}
    for script, _, _ in calls:
        numbers.setdefault(script, len(numbers) + 1)
    parent = jobs[0][1].parent
    asked = {
        "parent": "" if parent is None else parent.key,
        "token": parent_token or "",
        "uniques": [
            (place, queue.keys.base, tie.key)
            for place, (queue, job) in enumerate(jobs, start=1)
            for tie in job.ties
            if isinstance(tie, UniqueTie)
        ],
        "calls": [(numbers[script], len(keys), len(args)) for script, keys, args in calls],
    }
    hashes = [queue.keys.job(job.job_id or "") for queue, job in jobs]
    all_keys = [*hashes, *(key for _, keys, _ in calls for key in keys)]
    return _adding_all(tuple(numbers)), all_keys, [pack(asked), *(arg for _, _, args in calls for arg in args)]


@cache
def _adding_all(parts: tuple[Script, ...]) -> Script:
    """One script of ours that calls these, unchanged, as functions of their KEYS and ARGV."""
    functions = (f"scripts[{place}] = function(KEYS, ARGV)\n{part.text}\nend" for place, part in enumerate(parts, 1))
    text = "\n".join(["local scripts = {}", *functions, own("addFlow").text])
    return Script.of(f"addFlow({', '.join(part.name for part in parts)})", text)


def _added(answer: Any, job: NewJob) -> Added:
    """Raises: RedisError where an add refused what was checked before; the jobs before it are stored."""
    if not isinstance(answer, list):
        raise RedisError(f"job {job.job_id!r}, one of several: the script answered {answer!r:.100}")
    _, job_id, superseded = cast(Any, answer)
    return Added(str(job_id), superseded=superseded or None)


def _orphaned(job: NewJob, how: str) -> JobError:
    parent = job.parent or ParentRef("", "")
    if how == "lost":
        return LockLost(f"job {parent.id!r}, which is to be its parent, is not this run's any more")
    if how == "finished":
        return JobNotInState(parent.id, "unfinished", "finished, so no child can be added")
    return JobNotFound(parent.id, parent.queue_key.rpartition(":")[2])


# Reading


async def read_children(queue: Queue, job_id: str) -> Children:
    """The children of a job that have ended. Source: Node getChildrenValues, getIgnoredChildrenFailures.

    Shape: hashes `{job}:processed` (child's key -> result's JSON) and `{job}:failed` (-> reason), read in pages.
    """
    completed = await _whole_hash(queue, f"{job_id}:processed")
    failed = await _whole_hash(queue, f"{job_id}:failed")
    kept = await _kept(queue, [*completed, *failed])
    found = [
        *(_child(queue, key, kept[key], "completed", value) for key, value in completed.items()),
        *(_child(queue, key, kept[key], "failed", value) for key, value in failed.items()),
    ]
    return Children(child for _, child in sorted(found, key=lambda one: one[0]))


class _Kept(NamedTuple):
    """What is still stored of a child."""

    name: str | None
    timestamp_ms: int
    place: int


async def _whole_hash(queue: Queue, word: str) -> dict[str, str]:
    found: dict[str, str] = {}
    cursor = "0"
    while True:
        cursor, page = await queue.client.call("HSCAN", queue.keys.of(word), cursor, "COUNT", _PAGE)
        found |= wire.pairs(page)
        if cursor == "0":
            return found


async def _kept(queue: Queue, keys: Sequence[str]) -> dict[str, _Kept]:
    found: dict[str, _Kept] = {}
    for start in range(0, len(keys), _PAGE):
        page = keys[start : start + _PAGE]
        asked = (queue.client.call("HMGET", key, "name", "timestamp", "opts") for key in page)
        for key, fields in zip(page, await asyncio.gather(*asked), strict=True):
            found[key] = _read_kept(*fields)
    return found


def _read_kept(name: str | None, timestamp: str | None, options: str | None) -> _Kept:
    if name is None:
        return _Kept(None, _LAST, 0)
    place = encoding.as_object(encoding.decode_result(options)).get(PLACE)
    timestamp_ms = encoding.as_whole(encoding.decode_result(timestamp))
    return _Kept(name, timestamp_ms or 0, encoding.as_whole(place) or 0)


_Order: TypeAlias = tuple[int, int, list[str | int]]


def _child(
    queue: Queue, key: str, kept: _Kept, state: Literal["completed", "failed"], value: str
) -> tuple[_Order, Child]:
    """The child, and where it stands among the others."""
    queue_name, _, job_id = _below_prefix(queue, key).partition(":")
    result, reason = (encoding.decode_result(value), None) if state == "completed" else (None, value)
    return (kept.timestamp_ms, kept.place, _naturally(job_id)), Child(
        job_id, queue_name, kept.name, state, result, reason
    )


def _below_prefix(queue: Queue, key: str) -> str:
    """queue:id of a child's key; a foreign producer's child may have another prefix. Source: Node parseNodeKey."""
    prefix = f"{queue.keys.prefix}:"
    return key.removeprefix(prefix) if key.startswith(prefix) else key.partition(":")[2]


def _naturally(job_id: str) -> list[str | int]:
    """An id by which "a.10" comes behind "a.9"."""
    return [int(part) if part.isdecimal() else part for part in _DIGITS.split(job_id)]
