"""Growth: what a job costs us while its queue holds ever more; nothing of the hot path should grow with it."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, Final, cast

from jobqueue.bench import child
from jobqueue.bench.lineup import Places
from jobqueue.bench.results import Spread
from jobqueue.bench.server import Server

PROGRAM: Final = "jobqueue.bench.peers.growing"
LIMIT: Final = 1.15
"""How many times the cost at the smallest size the cost at the largest may be."""


@dataclass(frozen=True, slots=True)
class Point:
    """One size to measure. Shape: the fields of `peers.growing.Growth`, but the address."""

    axis: str
    size: int
    waiting: int = 20_000
    delayed: int = 0
    in_lanes: bool = False
    handlers: int = 1
    queues: int = 1
    concurrency: int = 100
    warm: int = 2_000
    window: int = 2_000
    windows: int = 5

    def task(self, url: str) -> dict[str, object]:
        fields = {name: value for name, value in asdict(self).items() if name not in ("axis", "size")}
        return {**fields, "redis_url": url}


def _axis(axis: str, sizes: tuple[int, ...], change: Callable[[Point, int], Point]) -> tuple[Point, ...]:
    return tuple(change(Point(axis, size), size) for size in sizes)


POINTS: Final = (
    *_axis("waiting jobs", (20_000, 100_000, 1_000_000), lambda point, size: replace(point, waiting=size)),
    *_axis("delayed jobs", (0, 1_000, 10_000, 100_000), lambda point, size: replace(point, delayed=size)),
    *_axis("lanes", (20_000, 100_000), lambda point, size: replace(point, waiting=size, in_lanes=True)),
    *_axis("handlers", (1, 100, 10_000), lambda point, size: replace(point, handlers=size)),
    *_axis("queues", (1, 8, 64), lambda point, size: replace(point, queues=size, concurrency=max(2, 128 // size))),
)


@dataclass(frozen=True, slots=True)
class Grown:
    """What a job cost at one size, in microseconds: wall time, CPU of our process, CPU of Redis."""

    axis: str
    size: int
    wall_us: Spread
    cpu_us: Spread
    redis_us: Spread
    load_s: float


def measure(
    points: tuple[Point, ...], places: Places, server: Server, watcher: Callable[[Grown], None], *, pinned: bool
) -> tuple[Grown, ...]:
    """Every point in turn; what is measured until Ctrl-C is kept. Raises: ProgramFailed."""
    found: list[Grown] = []
    try:
        for point in points:
            server.clear()
            command = [sys.executable, "-m", PROGRAM, json.dumps(point.task(server.url))]
            line = child.told_by(command, places.environment(), pinned=pinned)
            found.append(grown_told(point, line))
            watcher(found[-1])
    except KeyboardInterrupt:
        return tuple(found)
    return tuple(found)


def grown_told(point: Point, line: str) -> Grown:
    """Raises: ProgramFailed where no window was measured."""
    told = cast(dict[str, Any], json.loads(line))
    spreads = [Spread.of(window[name] for window in told["windows"]) for name in ("wall_us", "cpu_us", "redis_us")]
    wall, cpu, redis = spreads
    if wall is None or cpu is None or redis is None:
        raise child.ProgramFailed("no window was measured")
    return Grown(point.axis, point.size, wall, cpu, redis, told["load_s"])


def by_axis(found: tuple[Grown, ...]) -> dict[str, tuple[Grown, ...]]:
    """The sizes of each axis, the smallest first."""
    axes = dict.fromkeys(grown.axis for grown in found)
    return {
        axis: tuple(sorted((grown for grown in found if grown.axis == axis), key=lambda grown: grown.size))
        for axis in axes
    }


def as_table(found: tuple[Grown, ...]) -> str:
    """Units: microseconds a job, the median of the windows with the lowest and the highest."""
    return "\n".join(_rows(found))


def _rows(found: tuple[Grown, ...]) -> Iterator[str]:
    yield "| grows | size | µs a job | our CPU, µs | Redis CPU, µs | × the smallest |"
    yield "| --- | ---: | ---: | ---: | ---: | ---: |"
    for axis, sizes in by_axis(found).items():
        for grown in sizes:
            times = grown.wall_us.median / sizes[0].wall_us.median
            cells = [_spread(grown.wall_us), _spread(grown.cpu_us), _spread(grown.redis_us), f"{times:.2f}"]
            yield f"| {axis} | {grown.size:,} | {' | '.join(cells)} |"


def _spread(spread: Spread) -> str:
    return f"{spread.median:.1f} ({spread.low:.1f}–{spread.high:.1f})"
