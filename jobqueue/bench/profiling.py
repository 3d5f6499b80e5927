"""Profiling: what each step of our hot path costs for a job, as a table."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any, Final, cast

from jobqueue.bench import child
from jobqueue.bench.lineup import OURS, Places, peers_named
from jobqueue.bench.rounds import task_of
from jobqueue.bench.server import Server
from jobqueue.bench.workloads import workloads_named

WORKLOAD: Final = "drain-100"

_STEPS: Final = (
    ("redis/", "transport"),
    ("scripts.py", "transport"),
    ("hiredis", "transport"),
    ("queue.py", "build the script call"),
    ("bulk.py", "build the script call"),
    ("keys.py", "build the script call"),
    ("wire.py", "decode and encode BullMQ's fields"),
    ("encoding.py", "JSON"),
    ("json", "JSON"),
    ("msgpack", "decode and encode BullMQ's fields"),
    ("worker/admission.py", "admit"),
    ("registry.py", "admit"),
    ("handler.py", "validate the payload"),
    ("pydantic", "validate the payload"),
    ("worker/patterns.py", "pattern: lock and lane"),
    ("worker/superseding.py", "pattern: lock and lane"),
    ("worker/run.py", "run: task, scope, time limit"),
    ("worker/scope.py", "run: task, scope, time limit"),
    ("context.py", "context"),
    ("worker/journal.py", "context"),
    ("the handler", "the handler"),
    ("worker/outcomes.py", "decide"),
    ("worker/recorder.py", "record"),
    ("worker/settling.py", "record"),
    ("worker/renewer.py", "lock bookkeeping"),
    ("worker/execution.py", "lock bookkeeping"),
    ("worker/fetcher.py", "slots"),
    ("worker/executor.py", "the executor's own steps"),
    ("worker/reporter.py", "report"),
    ("events.py", "report"),
    ("<string>", "making records (dataclasses)"),
)
_REST: Final = "the rest"


@dataclass(frozen=True, slots=True)
class Line:
    """One row: own time and calls for a job, under the profiler."""

    name: str
    us: float
    calls: float


@dataclass(frozen=True, slots=True)
class Profile:
    """What one job costs this process: `cpu_us` as it is, the lines as cProfile sees them, which makes every Python
    call dearer. Compare the lines with each other and with an earlier profile, not with the budget."""

    jobs: int
    cpu_us: float
    wall_us: float
    redis_us: float
    steps: tuple[Line, ...]
    rooms: tuple[Line, ...]
    functions: tuple[Line, ...]


def profile(places: Places, server: Server, jobs: int | None, *, pinned: bool) -> Profile:
    """Drain twice, without the profiler and with it. Raises: ProgramFailed."""
    workload, ours = workloads_named((WORKLOAD,))[0], peers_named((OURS,))[0]
    workload = replace(workload, jobs=jobs or workload.jobs)
    task = task_of(workload, server.url, workload.jobs)
    told: list[dict[str, Any]] = []
    for is_profiled in (False, True):
        server.clear()
        command = places.command(ours, {**task, "profile": is_profiled})
        line = child.told_by(command, places.environment(), pinned=pinned)
        told.append(cast(dict[str, Any], json.loads(line)))
    plain, profiled = told
    rooms = _lines(profiled["rooms"])
    each_us = 1e6 / workload.jobs
    return Profile(
        workload.jobs,
        plain["cpu_s"] * each_us,
        plain["seconds"] * each_us,
        plain["redis_cpu_s"] * each_us,
        _by_step(rooms),
        rooms,
        _lines(profiled["functions"]),
    )


def as_text(found: Profile) -> str:
    """Tables for a terminal."""
    seen_us = sum(line.us for line in found.steps)
    head = (
        f"{found.jobs:,} no-ops at concurrency 100, without the profiler: {found.wall_us:.1f} µs a job, "
        f"of which {found.cpu_us:.1f} µs CPU of this process and {found.redis_us:.1f} µs CPU of Redis.\n"
        f"Under the profiler our Python takes {seen_us:.1f} µs a job; what stands below is its share."
    )
    parts = [head]
    for title, lines in (("step", found.steps), ("room", found.rooms), ("function", found.functions)):
        parts.append("\n".join(_table(title, lines, seen_us)))
    return "\n\n".join(parts)


def _table(title: str, lines: tuple[Line, ...], whole_us: float) -> Iterator[str]:
    yield f"{'µs a job':>9} {'share':>6} {'calls':>7}  {title}"
    for line in lines:
        if line.us >= whole_us / 1000:
            yield f"{line.us:9.2f} {line.us / whole_us:6.1%} {line.calls:7.2f}  {line.name}"


def _by_step(rooms: tuple[Line, ...]) -> tuple[Line, ...]:
    steps: dict[str, Line] = {}
    for room in rooms:
        name = step_of(room.name)
        before = steps.get(name, Line(name, 0.0, 0.0))
        steps[name] = Line(name, before.us + room.us, before.calls + room.calls)
    return _dearest_first(steps.values())


def step_of(room: str) -> str:
    """The step of the hot path that a room serves."""
    return next((step for start, step in _STEPS if room.startswith(start)), _REST)


def _lines(told: dict[str, dict[str, float]]) -> tuple[Line, ...]:
    return _dearest_first([Line(name, cost["us"], cost["calls"]) for name, cost in told.items()])


def _dearest_first(lines: Iterable[Line]) -> tuple[Line, ...]:
    return tuple(sorted(lines, key=lambda line: line.us, reverse=True))
