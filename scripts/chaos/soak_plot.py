"""Soak plot: what R19 measured as lines over time: `python -m scripts.chaos.soak_plot REPORT.json PICTURE.svg`."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from jobqueue.bench.picture import WIDTH, document, text
from scripts.chaos.soak_rules import trends
from scripts.chaos.vitals import HANDLES, KEPT, RSS, THREADS, Sample

_PANEL, _HEIGHT, _TOP, _COLUMNS = 270, 170, 56, 3
_INSIDE: Final = (48, 28, 200, 100)
"""Of the plot inside its panel: left, top, width, height."""
_MOST_POINTS: Final = 200
SHOWN: Final = (
    *(f"worker {number}: {RSS}" for number in (1, 2)),
    f"producer: {RSS}",
    f"Redis: {RSS}",
    "Redis: used memory, MB",
    KEPT,
    *(f"{who}: {HANDLES}" for who in ("worker 1", "worker 2", "Redis")),
    *(f"{who}: {THREADS}" for who in ("worker 1", "worker 2", "producer")),
)


def lines(report: dict[str, Any]) -> str:
    """A panel for each measure, from zero up. What the dashed line divides off is the time to get warm."""
    samples: Sequence[Sample] = report["samples"]
    shown = [name for name in SHOWN if name in samples[-1]]
    found = trends(samples)
    body: list[str] = []
    for number, name in enumerate(shown):
        x, y = 12 + number % _COLUMNS * (_PANEL + 10), _TOP + number // _COLUMNS * (_HEIGHT + 10)
        body += _panel(name, f"{found[name].percent:+.1f} %", samples, x, y)
    height = _TOP + -(-len(shown) // _COLUMNS) * (_HEIGHT + 10) + 10
    size = report["size"]
    note = f"{size['jobs_a_second']} jobs/s, {size['workers']} workers, {report['date']}; %: last quarter to second"
    return document(
        height, f"What {_time(size['seconds'])} of work use", [*body, text(WIDTH - 12, 26, note, "quiet", "end")]
    )


def _panel(name: str, change: str, samples: Sequence[Sample], x: int, y: int) -> Iterator[str]:
    left, top, width, height = x + _INSIDE[0], y + _INSIDE[1], _INSIDE[2], _INSIDE[3]
    values = [sample.get(name, 0) for sample in samples]
    highest, ended_s = (max(values) or 1) * 1.15, samples[-1]["s"] or 1
    places = [
        (left + sample["s"] / ended_s * width, top + height - value / highest * height)
        for sample, value in [*zip(samples, values, strict=True)][:: len(samples) // _MOST_POINTS + 1]
    ]
    yield text(x, y + 14, name, "workload")
    yield text(left + width, y + 14, change, "quiet", "end")
    yield f'<path class="axis" fill="none" d="M{left} {top}V{top + height}H{left + width}"/>'
    yield f'<path class="target" d="M{left + width / 4:.1f} {top}V{top + height}"/>'
    points = " ".join(f"{at:.1f},{up:.1f}" for at, up in places)
    yield f'<polyline class="curve" points="{points}"/>'
    yield text(left - 6, top + height - values[-1] / highest * height + 4, f"{values[-1]:,.0f}", "quiet", "end")
    yield text(left, top + height + 16, "0", "quiet", "middle")
    yield text(left + width, top + height + 16, _time(ended_s), "quiet", "middle")


def _time(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 3_600 else f"{seconds / 60:.0f} min"


def main(report: Path, picture: Path) -> None:
    picture.write_text(lines(json.loads(report.read_text(encoding="utf-8"))), encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
