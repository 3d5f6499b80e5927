"""Results: what a program told of one run, and the medians and ratios of many."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from jobqueue.bench.workloads import Measure, Target, Workload


@dataclass(frozen=True, slots=True)
class Run:
    """One run of one program.

    `cpu_s` is the process's user and system time in the measured part, `redis_cpu_s` that of Redis's main thread;
    `commands` includes those that scripts issue. `until` says where the measured part ended.
    """

    workload: str
    peer: str
    round: int
    jobs: int
    seconds: float
    cpu_s: float
    rss_mb: float
    redis_cpu_s: float = 0.0
    script_calls: int = 0
    commands: int = 0
    latencies_ms: tuple[float, ...] = ()
    versions: tuple[tuple[str, str], ...] = ()
    until: str = ""

    def figure(self, measure: Measure) -> float:
        match measure:
            case "speed":
                return self.jobs / self.seconds
            case "p50_ms":
                return percentile(self.latencies_ms, 50)
            case "p99_ms":
                return percentile(self.latencies_ms, 99)
            case "rss_mb":
                return self.rss_mb


@dataclass(frozen=True, slots=True)
class Failure:
    """A run that did not come to its end; `reason` ends with what the program wrote to standard error."""

    workload: str
    peer: str
    round: int
    reason: str


@dataclass(frozen=True, slots=True)
class Spread:
    """The median of some figures, the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, figures: Iterable[float]) -> Spread | None:
        """None where there are no figures."""
        known = sorted(figures)
        return cls(statistics.median(known), known[0], known[-1]) if known else None


@dataclass(frozen=True, slots=True)
class Results:
    """All runs of a bench, finished or not."""

    runs: tuple[Run, ...] = ()
    failures: tuple[Failure, ...] = ()
    missing: tuple[tuple[str, str], ...] = ()
    """Peers that are not installed, each with the command that installs it."""

    def of(self, workload: str, peer: str) -> tuple[Run, ...]:
        return tuple(run for run in self.runs if (run.workload, run.peer) == (workload, peer))

    def peers_of(self, workload: str) -> tuple[str, ...]:
        return tuple(dict.fromkeys(run.peer for run in self.runs if run.workload == workload))

    def spread(self, workload: str, peer: str, measure: Measure) -> Spread | None:
        return Spread.of(run.figure(measure) for run in self.of(workload, peer))

    def ratio(self, workload: str, peer: str, against: str, measure: Measure) -> Spread | None:
        """The median of the ratios within each round, since absolute figures drift from round to round."""
        others = {run.round: run.figure(measure) for run in self.of(workload, against)}
        mine = self.of(workload, peer)
        return Spread.of(run.figure(measure) / others[run.round] for run in mine if others.get(run.round))

    def reached(self, workload: Workload, target: Target, peer: str) -> tuple[float, bool] | None:
        """The figure that the target is about, and whether it is reached; None where it was not measured."""
        if target.peer is None:
            spread = self.spread(workload.name, peer, target.measure)
            return None if spread is None else (spread.median, spread.median <= target.bound)
        spread = self.ratio(workload.name, peer, target.peer, target.measure)
        return None if spread is None else (spread.median, spread.median >= target.bound)


def percentile(figures: Sequence[float], percent: float) -> float:
    """The smallest figure that `percent` of all do not exceed (nearest rank); 0 where there are none."""
    if not figures:
        return 0.0
    known = sorted(figures)
    return known[max(0, math.ceil(len(known) * percent / 100) - 1)]
