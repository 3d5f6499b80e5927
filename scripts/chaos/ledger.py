"""Ledger: what the runs themselves say happened, in a file that only grows, outside the Redis under test."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple, Self

from jobqueue import JobContext

VARIABLE: Final = "CHAOS_LEDGER"
"""The environment variable that tells a worker process where the ledger is."""


class Entry(NamedTuple):
    """One line. `claim` counts how often the job was claimed, so that (job, claim) is one run.

    Units: `at_us` epoch microseconds, of the clock that the processes and Redis share.
    """

    what: str
    job_id: str
    claim: int
    pid: int
    at_us: int
    key: str = ""
    note: str = ""


class Run(NamedTuple):
    """One run of a handler. `key` and `note` are those of its first line; `how` is what its last one says, `killed`
    where its process died, `open` where neither came.
    """

    job_id: str
    claim: int
    pid: int
    key: str
    started_us: int
    ended_us: int
    how: str
    note: str


def clock_us() -> int:
    """Epoch microseconds."""
    return time.time_ns() // 1_000


@dataclass(frozen=True, slots=True)
class Ledger:
    """Lines of JSON. Concurrency: any number of processes append; each line is one write, so none mix."""

    path: Path

    @classmethod
    def of_environment(cls) -> Self:
        """The ledger that this process was started with."""
        return cls(Path(os.environ[VARIABLE]))

    def write(self, what: str, job_id: str, claim: int, *, key: str = "", note: str = "", pid: int = 0) -> None:
        """Append one line; it has happened when this returns."""
        entry = Entry(what, job_id, claim, pid or os.getpid(), clock_us(), key, note)
        ledger = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        try:
            os.write(ledger, json.dumps(entry).encode() + b"\n")
        finally:
            os.close(ledger)

    def start(self, ctx: JobContext, key: str = "", note: str = "") -> None:
        """A run has begun."""
        self.write("start", ctx.job.id, ctx.job.attempts_started, key=key, note=note)

    def end(self, ctx: JobContext, how: str) -> None:
        """A run has ended; `how` in one word."""
        self.write("end", ctx.job.id, ctx.job.attempts_started, key=how)

    @property
    def size(self) -> int:
        """Bytes that have been written so far."""
        return self.path.stat().st_size if self.path.exists() else 0

    def entries(self, from_byte: int = 0) -> list[Entry]:
        """What has been written so far, as it was written, or only what came after a size that it once had.

        A line that is still being written is left out.
        """
        if not self.path.exists():
            return []
        with self.path.open("rb") as written:
            written.seek(from_byte)
            lines = written.read().split(b"\n")[:-1]
        return [Entry(*json.loads(line)) for line in lines]


def runs(entries: Iterable[Entry]) -> list[Run]:
    """The runs of a ledger in the order of their starts. A killed process ends its runs at the latest when it was gone;
    a run that has no end is open at the end of the ledger."""
    begun: dict[tuple[str, int, int], Run] = {}
    latest_us = 0
    for entry in entries:
        latest_us = max(latest_us, entry.at_us)
        run = (entry.job_id, entry.claim, entry.pid)
        if entry.what == "start":
            begun[run] = Run(entry.job_id, entry.claim, entry.pid, entry.key, entry.at_us, 0, "open", entry.note)
        elif entry.what == "end" and run in begun:
            begun[run] = begun[run]._replace(ended_us=entry.at_us, how=entry.key)
        elif entry.what == "gone":
            for known, one in begun.items():
                if known[2] == entry.pid and one.how == "open":
                    begun[known] = one._replace(ended_us=entry.at_us, how="killed")
    ended = (run if run.ended_us else run._replace(ended_us=latest_us) for run in begun.values())
    return sorted(ended, key=lambda run: run.started_us)


class Freeze(NamedTuple):
    """How long a process stood still."""

    pid: int
    began_us: int
    ended_us: int


def freezes(entries: Iterable[Entry]) -> list[Freeze]:
    """Every time that a process was frozen, until it was thawed or gone."""
    began: dict[int, int] = {}
    found: list[Freeze] = []
    for entry in entries:
        if entry.what == "frozen":
            began[entry.pid] = entry.at_us
        elif entry.what in ("thawed", "gone") and entry.pid in began:
            found.append(Freeze(entry.pid, began.pop(entry.pid), entry.at_us))
    return found


def was_frozen(run: Run, frozen: Iterable[Freeze]) -> bool:
    """Whether its process stood still at some time while it ran."""
    return any(one.pid == run.pid and one.began_us < run.ended_us and one.ended_us > run.started_us for one in frozen)
