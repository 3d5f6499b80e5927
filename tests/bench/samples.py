"""Made-up results, with figures that are easy to reckon with."""

from __future__ import annotations

from jobqueue.bench.machine import Conditions
from jobqueue.bench.results import Failure, Results, Run


def run(workload: str, peer: str, round_number: int, speed: float) -> Run:
    """1,000 jobs at `speed` jobs a second."""
    return Run(
        workload,
        peer,
        round_number,
        jobs=1_000,
        seconds=1_000 / speed,
        cpu_s=0.02,
        rss_mb=50.0,
        redis_cpu_s=0.03,
        script_calls=1_100,
        commands=27_000,
        versions=(("thing", "1.2.3"),),
    )


RESULTS = Results(
    runs=(
        run("drain-100", "jobqueue", 1, 30_000),
        run("drain-100", "node", 1, 20_000),
        run("drain-100", "jobqueue", 2, 12_000),
        run("drain-100", "node", 2, 10_000),
        run("drain-100", "jobqueue", 3, 20_000),
        run("drain-100", "node", 3, 20_000),
        Run("pickup", "jobqueue", 1, 4, 1.0, 0.1, 50.0, latencies_ms=(0.5, 0.6, 0.7, 3.0)),
        Run("idle", "jobqueue", 1, 0, 10.0, 0.05, 48.0),
    ),
    failures=(Failure("drain-100", "saq", 1, "Traceback\nRuntimeError: a <peer> that broke"),),
    missing=(("arq", "python3 -m venv .jobqueue/bench/arq"),),
)

CONDITIONS = Conditions(
    date="2026-01-02 03:04 UTC",
    system="Linux 6",
    processor="Fast & Quiet",
    cores=2,
    memory_gib=24.0,
    redis="7.0.15",
    python="3.11.7",
    node="20.20.2",
    pinned=True,
    rounds=3,
    command="jobqueue bench --pin",
    versions={"jobqueue": {"thing": "1.2.3"}},
)
