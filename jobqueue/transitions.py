"""Transitions: what a queue is asked to do with a job, and what it answered. Frozen data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple, TypeAlias

from jobqueue.job import Keep
from jobqueue.packing import Entries, pack_entries
from jobqueue.wire import Fetched

_NO_FIELDS: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Claimant:
    """Who claims: a token of its own for each slot, the worker's name, and how long its locks live."""

    token: str
    worker_name: str
    lock_ms: int
    packed: Entries = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        fields = {"token": self.token, "lockDuration": self.lock_ms, "name": self.worker_name}
        object.__setattr__(self, "packed", pack_entries(fields))


class Added(NamedTuple):
    """What an add answered. `created` is False where the job id existed; then nothing was stored."""

    job_id: str
    created: bool = True
    superseded: str | None = None


class Finish(NamedTuple):
    """How a job ends: `value` is the result's JSON, or the reason of a failure."""

    state: Literal["completed", "failed"]
    value: str
    keep: Keep
    fields: Mapping[str, str] = _NO_FIELDS


class Delay(NamedTuple):
    """How long a job waits for its next try, and whether the last one `counts` as an attempt."""

    delay_ms: int
    counts: bool
    fields: Mapping[str, str] = _NO_FIELDS


@dataclass(frozen=True, slots=True)
class Lane:
    """What a superseding job holds: its lane, and the key of the mark that would end that."""

    key: str
    mark: str


@dataclass(frozen=True, slots=True)
class Lock:
    """What a singleton's run holds. `fence` is greater than that of every earlier holder."""

    key: str
    token: str
    fence: int


Held: TypeAlias = Lane | Lock | None


class Finished(NamedTuple):
    """What finishing answered: the next job, and which job superseded the finished one, if any."""

    next: Fetched
    superseded_by: str | None = None
