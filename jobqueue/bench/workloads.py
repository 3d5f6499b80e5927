"""Workloads: what is measured, as data, and the figures to reach."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from jobqueue.errors import JobqueueError

Kind = Literal["drain", "enqueue", "pickup", "idle"]
Measure = Literal["speed", "p50_ms", "p99_ms", "rss_mb"]
Field = Literal["all", "bullmq"]


class UnknownWorkload(JobqueueError):
    """There is no workload of that name."""


@dataclass(frozen=True, slots=True)
class Target:
    """Ours must be at least `bound` times as fast as `peer`; without a peer, at most `bound` in the measure's unit."""

    measure: Measure
    bound: float
    peer: str | None = None


@dataclass(frozen=True, slots=True)
class Workload:
    """One thing to measure.

    `callers` is how many callers enqueue at once, 0 for chunks of `chunk` jobs. `field` says who takes part where
    nobody is named. `warm_jobs` are run by the same process before the measured part.
    """

    name: str
    title: str
    kind: Kind
    jobs: int
    targets: tuple[Target, ...]
    field: Field = "all"
    concurrency: int = 100
    sleep_ms: int = 0
    warm_jobs: int = 0
    gap_ms: int = 0
    callers: int = 0
    chunk: int = 1_000
    most_rounds: int = 100

    @property
    def measure(self) -> Measure:
        """The figure that is compared; of a pickup both p50 and p99 are told."""
        return _MEASURES[self.kind]

    @property
    def unit(self) -> str:
        return UNITS[self.measure]

    @property
    def more_is_better(self) -> bool:
        return self.measure == "speed"


_MEASURES: Final[dict[Kind, Measure]] = {"drain": "speed", "enqueue": "speed", "pickup": "p50_ms", "idle": "rss_mb"}

UNITS: Final[dict[Measure, str]] = {"speed": "jobs/s", "p50_ms": "ms", "p99_ms": "ms", "rss_mb": "MB"}


def _at_least(bound: float, peer: str = "node") -> Target:
    return Target("speed", bound, peer)


WORKLOADS: Final = (
    Workload(
        "drain-100",
        "drain no-ops, concurrency 100",
        "drain",
        20_000,
        (_at_least(1.30), _at_least(9, "bullmq")),
    ),
    Workload("drain-10", "drain no-ops, concurrency 10", "drain", 20_000, (_at_least(1.15),), "bullmq", 10),
    Workload("drain-1", "drain no-ops, concurrency 1", "drain", 5_000, (_at_least(1.25),), "bullmq", 1),
    Workload("sleep-cold", "sleep 10 ms, concurrency 100, cold", "drain", 2_000, (_at_least(1.30),), sleep_ms=10),
    Workload(
        "sleep-warm",
        "sleep 10 ms, concurrency 100, warm",
        "drain",
        20_000,
        (_at_least(0.95),),
        "bullmq",
        sleep_ms=10,
        warm_jobs=2_000,
    ),
    Workload("enqueue-one", "enqueue one after another", "enqueue", 10_000, (_at_least(1.25),), callers=1),
    Workload("enqueue-100", "enqueue, 100 callers at once", "enqueue", 20_000, (_at_least(1.8),), callers=100),
    Workload("enqueue-bulk", "enqueue in bulk", "enqueue", 20_000, (_at_least(2.4),)),
    Workload(
        "pickup",
        "pickup by an idle worker",
        "pickup",
        300,
        (Target("p50_ms", 0.7), Target("p99_ms", 1.2)),
        warm_jobs=20,
        gap_ms=20,
    ),
    Workload("idle", "memory of an idle worker", "idle", 0, (Target("rss_mb", 60),), concurrency=10, most_rounds=3),
)
"""In the order in which they are run."""


def workloads_named(names: tuple[str, ...]) -> tuple[Workload, ...]:
    """Those of the names, in the order of the list; all where no name is given. Raises: UnknownWorkload."""
    known = [workload.name for workload in WORKLOADS]
    for name in names:
        if name not in known:
            raise UnknownWorkload(f"no workload {name!r}; there are {', '.join(known)}")
    return tuple(workload for workload in WORKLOADS if not names or workload.name in names)
