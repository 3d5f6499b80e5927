"""Plot: the cost of a job over the size of what its queue holds, one small panel for each axis, as SVG."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from jobqueue.bench.growth import LIMIT, Grown, by_axis
from jobqueue.bench.picture import WIDTH, document, text

_PANEL, _HEIGHT, _TOP, _COLUMNS = 270, 190, 56, 3
_INSIDE: Final = (48, 28, 200, 120)
"""Of the plot inside its panel: left, top, width, height."""


def lines(found: tuple[Grown, ...]) -> str:
    """Wall time a job at each size. The dashed line is what the largest size may cost."""
    body: list[str] = []
    axes = by_axis(found)
    for number, (axis, sizes) in enumerate(axes.items()):
        x, y = 12 + number % _COLUMNS * (_PANEL + 10), _TOP + number // _COLUMNS * (_HEIGHT + 10)
        body += _panel(axis, sizes, x, y)
    height = _TOP + -(-len(axes) // _COLUMNS) * (_HEIGHT + 10) + 10
    note = f"µs a job at concurrency 100; dashed: {LIMIT:g} × the cost at the smallest size"
    return document(height, "What a job costs as the queue grows", [*body, text(WIDTH - 12, 26, note, "quiet", "end")])


def _panel(axis: str, sizes: Sequence[Grown], x: int, y: int) -> Iterator[str]:
    left, top, width, height = x + _INSIDE[0], y + _INSIDE[1], _INSIDE[2], _INSIDE[3]
    limit = sizes[0].wall_us.median * LIMIT
    highest = max([*(grown.wall_us.median for grown in sizes), limit]) * 1.15
    step = width / max(len(sizes) - 1, 1)
    places = [
        (left + number * step, top + height - grown.wall_us.median / highest * height)
        for number, grown in enumerate(sizes)
    ]
    yield text(x, y + 14, axis, "workload")
    yield f'<path class="axis" fill="none" d="M{left} {top}V{top + height}H{left + width}"/>'
    limit_y = top + height - limit / highest * height
    yield f'<path class="target" d="M{left} {limit_y:.1f}H{left + width}"/>'
    points = " ".join(f"{at:.1f},{up:.1f}" for at, up in places)
    yield f'<polyline class="curve" points="{points}"/>'
    for grown, (at, up) in zip(sizes, places, strict=True):
        yield f'<circle class="ours" cx="{at:.1f}" cy="{up:.1f}" r="3.5"/>'
        yield text(at, up + 18, f"{grown.wall_us.median:.1f}", anchor="middle")
        yield text(at, top + height + 16, f"{grown.size:,}", "quiet", "middle")
