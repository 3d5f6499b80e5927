"""Rounds: every peer in turn, A B C A B C, with an empty Redis before each, until all is measured or Ctrl-C."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

from jobqueue.bench import child, idle
from jobqueue.bench.lineup import Peer, Places
from jobqueue.bench.results import Failure, Results, Run
from jobqueue.bench.server import Server
from jobqueue.bench.workloads import Workload


@dataclass(frozen=True, slots=True)
class Plan:
    """What to measure. `named` is True where somebody chose the peers; then all of them run every workload.

    `jobs` is the most that a run is given.
    """

    workloads: tuple[Workload, ...]
    peers: tuple[Peer, ...]
    rounds: int = 5
    pinned: bool = False
    named: bool = False
    jobs: int | None = None
    idle_watch_s: float = idle.WATCH_S

    def steps(self, places: Places) -> tuple[Step, ...]:
        """In the order in which they run: the rounds of a workload follow each other, its peers take turns."""
        return tuple(
            Step(workload, peer, number)
            for workload in self.workloads
            for number in range(1, min(self.rounds, workload.most_rounds) + 1)
            for peer in self.peers
            if places.is_installed(peer) and self._takes_part(peer, workload)
        )

    def _takes_part(self, peer: Peer, workload: Workload) -> bool:
        return workload.name not in peer.lacks if self.named else peer.takes_part(workload)

    def jobs_of(self, step: Step) -> int:
        whole = step.peer.jobs_of(step.workload)
        return whole if self.jobs is None else min(self.jobs, whole)


@dataclass(frozen=True, slots=True)
class Step:
    """One run that is to be done."""

    workload: Workload
    peer: Peer
    round: int


Outcome = Run | Failure
Watcher = Callable[[Step, Outcome | None], None]
"""Told of each step twice: when it begins, with None, and how it ended."""


class Rounds:
    """Carries out a plan. `results` holds what was measured so far, at any time."""

    def __init__(self, plan: Plan, places: Places, server: Server, watcher: Watcher) -> None:
        self.steps = plan.steps(places)
        self._plan = plan
        self._places = places
        self._server = server
        self._watcher = watcher
        self._outcomes: list[Outcome] = []
        self.interrupted = False

    @property
    def results(self) -> Results:
        runs = tuple(outcome for outcome in self._outcomes if isinstance(outcome, Run))
        failures = tuple(outcome for outcome in self._outcomes if isinstance(outcome, Failure))
        return Results(runs, failures, tuple(missing_of(self._plan.peers, self._places)))

    def run(self) -> None:
        """Returns also after Ctrl-C; the run that was interrupted is not counted."""
        try:
            for step in self.steps:
                self._watcher(step, None)
                outcome = self._measure(step)
                self._outcomes.append(outcome)
                self._watcher(step, outcome)
        except KeyboardInterrupt:
            self.interrupted = True

    def _measure(self, step: Step) -> Outcome:
        self._server.clear()
        try:
            return self._idle(step) if step.workload.kind == "idle" else self._run(step)
        except (child.ProgramFailed, OSError) as error:
            return Failure(step.workload.name, step.peer.name, step.round, str(error))

    def _run(self, step: Step) -> Run:
        task = task_of(step.workload, self._server.url, self._plan.jobs_of(step))
        command = self._places.command(step.peer, task)
        line = child.told_by(command, self._places.environment(), pinned=self._plan.pinned)
        return run_told(step, line)

    def _idle(self, step: Step) -> Run:
        task, watch_s = task_of(step.workload, self._server.url, 0), self._plan.idle_watch_s
        rss_mb, cpu_s = idle.look_at(step.peer, task, self._places, self._server, watch_s, pinned=self._plan.pinned)
        return Run(step.workload.name, step.peer.name, step.round, 0, watch_s, cpu_s, rss_mb)


def task_of(workload: Workload, url: str, jobs: int, load_url: str | None = None) -> dict[str, object]:
    """What a program is told. Shape: the fields of `peers.measuring.Task`."""
    return {
        "kind": workload.kind,
        "redis_url": url,
        "load_url": load_url or url,
        "jobs": jobs,
        "concurrency": workload.concurrency,
        "sleep_ms": workload.sleep_ms,
        "warm_jobs": min(workload.warm_jobs, jobs),
        "gap_ms": workload.gap_ms,
        "callers": workload.callers,
        "chunk": workload.chunk,
    }


def run_told(step: Step, line: str) -> Run:
    """Raises: ProgramFailed where the line is not what a program tells."""
    try:
        told = cast(dict[str, Any], json.loads(line))
        return Run(
            step.workload.name,
            step.peer.name,
            step.round,
            jobs=told["jobs"],
            seconds=told["seconds"],
            cpu_s=told["cpu_s"],
            rss_mb=told["rss_mb"],
            redis_cpu_s=told["redis_cpu_s"],
            script_calls=told["script_calls"],
            commands=told["commands"],
            latencies_ms=tuple(told["latencies_ms"] or ()),
            versions=tuple(told["versions"].items()),
            until=told["until"],
        )
    except (ValueError, KeyError, TypeError) as error:
        raise child.ProgramFailed(f"printed {line[:200]!r}, which is no result: {error}") from error


def missing_of(peers: Sequence[Peer], places: Places) -> Iterator[tuple[str, str]]:
    """The peers that are not installed, with the commands that install them."""
    for peer in peers:
        if not places.is_installed(peer):
            yield peer.name, " && ".join(shlex.join(_short(command)) for command in places.install_commands(peer))


def _short(command: Sequence[str]) -> list[str]:
    """As a person would type it."""
    return ["python3" if Path(word) == Path(sys.executable) else word for word in command]
