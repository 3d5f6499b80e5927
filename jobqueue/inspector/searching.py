"""Searching: a bounded look through the jobs of some states, newest first, for those that a filter wants.

Redis passes over most of what cannot match; the rest is decided here, on the job as it is shown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

from jobqueue.inspector.deciding import Decider
from jobqueue.inspector.kinship import naturally
from jobqueue.inspector.reading import Reader, state_word
from jobqueue.inspector.views import FINISHED, JobFilter
from jobqueue.job import CANCELLED, State
from jobqueue.masking import SECRET_WORDS
from jobqueue.packing import pack
from jobqueue.queue import Queue
from jobqueue.scripts import own

MAX_LOOKED_AT: Final = 5_000
"""Jobs that a filter looks at, the newest first."""
MAX_LOOKED_INTO: Final = 2_500
"""The same of a filter that has to look into the jobs' data."""
MAX_EXAMINED: Final = 500
"""Jobs after which such a search stops that had to be put together as they are shown."""
MAX_BYTES: Final = 16 * 1024 * 1024
"""Of data that a search reads."""
LISTS: Final[tuple[State, ...]] = ("waiting", "active", "paused")
"""The states that are lists in Redis."""

_LOOK: Final = 500  # at a time: Redis does nothing else meanwhile, and needs some 2 ms for it
_LOOK_INTO: Final = 200  # the same where it reads their data
_LOOK_BYTES: Final = 256 * 1024
_AT_MS = attrgetter("at_ms")
_RUN = re.compile(r"[a-z0-9_]+")
_MAX_RUNS: Final = 8


class Found(NamedTuple):
    """A job that matches. Units: `at_ms` epoch milliseconds, the time by which it is listed."""

    state: State
    id: str
    at_ms: int


class Search(NamedTuple):
    """What was found, newest first. `scanned_to` is the rank to go on from; None where all jobs were looked at."""

    found: Sequence[Found]
    scanned_to: int | None


async def search(
    reader: Reader,
    queue: Queue,
    states: Sequence[State],
    wanted: JobFilter,
    first: int = 0,
    most: int = MAX_LOOKED_AT,
) -> Search:
    """Look at up to `most` jobs of the states together, from the rank `first` on in each of them.

    Concurrency: jobs move while it looks; one that does may be found in two searches, in one only once.
    """
    asked, keys = _asked(reader, states, wanted), [queue.keys.of(state_word(state)) for state in states]
    decider = Decider(reader, wanted) if asked["fields"] else None
    most, look = (most, _LOOK) if decider is None else (min(most, MAX_LOOKED_INTO), _LOOK_INTO)
    found: dict[str, Found] = {}
    rank, looked, read, is_at_end = first, 0, 0, False
    while not is_at_end and looked < most and read < MAX_BYTES:
        if decider is not None and decider.examined >= MAX_EXAMINED:
            break
        limits = {"first": rank, "most": min(look, most - looked), "bytes": min(_LOOK_BYTES, MAX_BYTES - read)}
        packed = pack(asked | limits)
        rank, count, size, is_at_end, flat = await queue.client.run(own("findJobs"), keys, [queue.keys.base, packed])
        looked, read = looked + count, read + size
        for place, job_id, at_ms, *stored in _rows(flat, 3 if decider is None else 6):
            if decider is None or decider.wants(job_id, stored):
                found[job_id] = Found(states[place - 1], job_id, at_ms)
    return Search(newest_first(found.values()), None if is_at_end else rank)


def newest_first(found: Iterable[Found]) -> list[Found]:
    """By time, and within a millisecond by id where ids count up; else in the order of their state."""
    by_time = sorted(found, key=_AT_MS, reverse=True)
    return [one for _, tied in groupby(by_time, _AT_MS) for one in _last_id_first(list(tied))]


def _last_id_first(tied: list[Found]) -> list[Found]:
    is_counted = len(tied) > 1 and all(one.id.isdecimal() for one in tied)
    return sorted(tied, key=lambda one: naturally(one.id), reverse=True) if is_counted else tied


def _rows(flat: Sequence[Any], width: int) -> Iterator[Sequence[Any]]:
    return (flat[start : start + width] for start in range(0, len(flat), width))


# What Redis is asked: whatever it passes over cannot match, in whatever way its JSON is written.


def _asked(reader: Reader, states: Sequence[State], wanted: JobFilter) -> dict[str, Any]:
    beside = {"name": wanted.name, "cancelled": wanted.cancelled, "from": wanted.from_ms, "to": wanted.to_ms}
    return {
        "lists": [state in LISTS for state in states],
        "finished": [state in FINISHED for state in states],
        "fields": any(one is not None for one in (wanted.text, wanted.related, wanted.created_by, wanted.order_key)),
        "beginning": CANCELLED,
        "runs": _runs(wanted.text or ""),
        "secretive": reader.secretive,
        "secrets": SECRET_WORDS,
        "ways": list(_ways(wanted)),
    } | {name: value for name, value in beside.items() if value is not None}


def _runs(text: str) -> list[str]:
    """Parts of a text that are the same in any JSON, the longest ones."""
    return sorted(set(_RUN.findall(text.lower())), key=len, reverse=True)[:_MAX_RUNS]


def _ways(wanted: JobFilter) -> Iterator[list[list[str]]]:
    """For each field of the envelope that is wanted how it may be written in a job's data: texts that are all there."""
    if wanted.related is not None:
        yield _written(type=wanted.related.type, id=wanted.related.id)
    if wanted.created_by is not None:
        yield _written(createdBy=wanted.created_by)
    if wanted.order_key is not None:
        kind, _, identity = wanted.order_key.partition(":")
        of_object, of_slot = _written(type=kind, id=identity), _written(id=identity, overlap="queue")
        yield [*_written(orderKey=wanted.order_key), *of_object, *of_slot]


def _written(**members: str) -> list[list[str]]:
    """Members of a JSON object as encoders write them: with or without a space, some letters in code or not."""
    return [
        [f'"{name}":{space}{encode(value)}' for name, value in members.items()]
        for space in ("", " ")
        for encode in _ENCODERS
    ]


def _plainly(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)


def _with_slashes(text: str) -> str:
    return json.dumps(text).replace("/", "\\/")


_ENCODERS: Final[tuple[Callable[[str], str], ...]] = (_plainly, json.dumps, _with_slashes)
