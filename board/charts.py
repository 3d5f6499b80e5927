"""Charts: numbers to shapes. A chart is drawn in a box of WIDTH × HEIGHT units; the template stretches it to its place.

Nothing here is text of a job, and nothing here is markup: `charts.html` writes it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final

from board.render import compact, number, span
from jobqueue.inspector.statistics import Point, Span, Statistics

WIDTH: Final = 600
HEIGHT: Final = 100
SPARK_WIDTH: Final = 96
SPARK_HEIGHT: Final = 22
MAX_AGES: Final = 6

_GAP = 0.15  # of a bar's step
_LEAST = 1.5  # units: what happened once must be seen beside what happened a thousand times
_DAY_MS = 86_400_000
_NICE = (1, 2, 5, 10)
_NICE_MS = (
    *(1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000, 10_000, 20_000, 30_000),
    *(60_000, 120_000, 300_000, 600_000, 1_200_000, 1_800_000),
    *(3_600_000, 7_200_000, 14_400_000, 28_800_000, 43_200_000),
)
_TIMES: Final[dict[Span, tuple[str, ...]]] = {
    "hour": ("1 h ago", "45 min", "30 min", "15 min", "now"),
    "day": ("24 h ago", "18 h", "12 h", "6 h", "now"),
    "week": ("7 d ago", "6 d", "5 d", "4 d", "3 d", "2 d", "1 d", "now"),
}


@dataclass(frozen=True, slots=True)
class Bar:
    """A filled box; `kind` is what it counts."""

    x: float
    y: float
    width: float
    height: float
    kind: str


@dataclass(frozen=True, slots=True)
class Line:
    """A curve, in pieces where nothing was measured in between; each piece is the `points` of a polyline."""

    kind: str
    pieces: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Column:
    """The slice of a chart that one step of time takes, and what is told of it."""

    x: float
    width: float
    words: str


@dataclass(frozen=True, slots=True)
class Age:
    """How long the oldest job of a handler waits, and its bar, out of WIDTH. Units: `age_ms` milliseconds."""

    name: str
    age_ms: int
    width: float


@dataclass(frozen=True, slots=True)
class Chart:
    """One chart. `scale` are the words beside it, from the top; `times` those below, from the left; both evenly spread.

    `about` says in a sentence what is seen. Columns are only there where there is something to tell.
    """

    scale: tuple[str, ...]
    times: tuple[str, ...]
    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]
    columns: tuple[Column, ...]
    about: str
    is_empty: bool


def throughput(statistics: Statistics, of: Span) -> Chart:
    """How many jobs ended in each step: the completed, and on top of them the failed."""
    points = statistics.points
    top = nice(max((point.completed + point.failed for point in points), default=0))
    total = statistics.total
    about = f"{number(total.completed)} completed and {number(total.failed)} failed in the last {of}."
    return Chart(
        scale=(compact(top), compact(top // 2) if top > 1 else "", "0"),
        times=_TIMES[of],
        bars=tuple(_stacked(points, top, WIDTH, HEIGHT)),
        lines=(),
        columns=_columns(statistics, _counted),
        about=about,
        is_empty=not total.completed and not total.failed,
    )


def wait(statistics: Statistics, of: Span) -> Chart:
    """How long jobs waited before they started."""
    return _latency(statistics, of, "waited", lambda point: (point.wait_p50_ms, point.wait_p95_ms))


def run(statistics: Statistics, of: Span) -> Chart:
    """How long jobs ran."""
    return _latency(statistics, of, "ran", lambda point: (point.run_p50_ms, point.run_p95_ms))


def ages(oldest_at_ms: Mapping[str, int], now_ms: int) -> tuple[Age, ...]:
    """How long the oldest job of each handler waits, those that wait longest first."""
    waited_ms = {name: max(now_ms - at_ms, 0) for name, at_ms in oldest_at_ms.items()}
    longest = sorted(waited_ms.items(), key=lambda pair: (-pair[1], pair[0]))[:MAX_AGES]
    top = nice_ms(max(waited_ms.values(), default=0))
    return tuple(Age(name, ms, _high(ms, top, WIDTH)) for name, ms in longest)


def spark(statistics: Statistics) -> tuple[Bar, ...]:
    """Throughput as a word-sized picture."""
    top = max((point.completed + point.failed for point in statistics.points), default=0)
    return tuple(_stacked(statistics.points, max(top, 1), SPARK_WIDTH, SPARK_HEIGHT))


_Pair = tuple[float | None, float | None]


def _latency(statistics: Statistics, of: Span, verb: str, read: Callable[[Point], _Pair]) -> Chart:
    points = statistics.points
    measured = [value for point in points for value in read(point) if value is not None]
    top = nice_ms(max(measured, default=0.0))
    half, most = read(statistics.total)
    if half is None or most is None:
        about = f"Nothing was measured in the last {of}."
    else:
        about = (
            f"In the last {of} half of the jobs {verb} at most {span(round(half))}, 95 % at most {span(round(most))}."
        )
    return Chart(
        scale=(span(top), span(top // 2) if top > 1 else "", "0"),
        times=_TIMES[of],
        bars=(),
        lines=(
            Line("middle", _pieces([read(point)[0] for point in points], top)),
            Line("upper", _pieces([read(point)[1] for point in points], top)),
        ),
        columns=_columns(statistics, lambda point: _told(read(point))),
        about=about,
        is_empty=not measured,
    )


def nice(most: float) -> int:
    """The least of 1, 2, 5, 10, 20, 50, … that is not below."""
    unit = 1
    while True:
        for factor in _NICE:
            if factor * unit >= most:
                return factor * unit
        unit *= 10


def nice_ms(most_ms: float) -> int:
    """The least round duration that is not below: 500 ms, 10 s, 5 min, 8 h, 3 d."""
    fitting = next((value for value in _NICE_MS if value >= most_ms), None)
    return fitting if fitting is not None else _DAY_MS * nice(most_ms / _DAY_MS)


def _stacked(points: Sequence[Point], top: int, width: float, height: float) -> Iterable[Bar]:
    step = width / max(len(points), 1)
    for index, point in enumerate(points):
        x, bar_width = _round(index * step + step * _GAP / 2), _round(step * (1 - _GAP))
        done, broken = _high(point.completed, top, height), _high(point.failed, top, height)
        if done:
            yield Bar(x, _round(height - done), bar_width, done, "done")
        if broken:
            yield Bar(x, _round(max(height - done - broken, 0)), bar_width, broken, "broken")


def _high(count: int, top: int, height: float) -> float:
    return _round(max(count / top * height, _LEAST)) if count else 0.0


def _pieces(values: Sequence[float | None], top: int) -> tuple[str, ...]:
    """A lone value is drawn as a short dash, since a line of one point is not seen."""
    step = WIDTH / max(len(values), 1)
    pieces: list[list[tuple[float, float]]] = [[]]
    for index, value in enumerate(values):
        if value is None:
            pieces.append([])
        else:
            pieces[-1].append((_round((index + 0.5) * step), _round(HEIGHT - value / top * HEIGHT)))
    return tuple(" ".join(f"{x:g},{y:g}" for x, y in _seen(piece, step)) for piece in pieces if piece)


def _seen(piece: list[tuple[float, float]], step: float) -> list[tuple[float, float]]:
    if len(piece) > 1:
        return piece
    [(x, y)] = piece
    return [(_round(x - step / 3), y), (_round(x + step / 3), y)]


def _columns(statistics: Statistics, told: Callable[[Point], str]) -> tuple[Column, ...]:
    step = WIDTH / max(len(statistics.points), 1)
    return tuple(
        Column(_round(index * step), _round(step), f"{clock_time(point.at_ms, statistics.step_ms)}: {words}")
        for index, point in enumerate(statistics.points)
        if (words := told(point))
    )


def _counted(point: Point) -> str:
    if not (point.completed or point.failed):
        return ""
    retried = f", {number(point.retried)} retried" if point.retried else ""
    return f"{number(point.completed)} completed, {number(point.failed)} failed{retried}"


def _told(pair: _Pair) -> str:
    half, most = pair
    return "" if half is None or most is None else f"p50 {span(round(half))}, p95 {span(round(most))}"


def clock_time(at_ms: int, step_ms: int) -> str:
    """A step of time: "14:05–14:06 UTC", with the day where steps are long."""
    start, end = (datetime.fromtimestamp(ms / 1000, UTC) for ms in (at_ms, at_ms + step_ms))
    day = f"{start:%Y-%m-%d} " if step_ms >= 3_600_000 else ""
    return f"{day}{start:%H:%M}–{end:%H:%M} UTC"


def _round(value: float) -> float:
    return round(value, 2)
