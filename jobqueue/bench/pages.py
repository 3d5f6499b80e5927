"""Pages: writes what was measured to a folder, as pages with their pictures and as figures for programs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jobqueue.bench import board, growth, picture, plot, report
from jobqueue.bench.board import Timed
from jobqueue.bench.distance import BOUND, Distance
from jobqueue.bench.growth import LIMIT, Grown
from jobqueue.bench.machine import Conditions
from jobqueue.bench.results import Results


def write_results(folder: Path, results: Results, conditions: Conditions) -> None:
    """README.md, bench.svg and bench.json; what stood there is replaced."""
    page = report.as_page(results, conditions, "bench.svg")
    others = [f"- [{title}]({name})" for name, title in _OTHERS if (folder / name).exists()]
    if others:
        page += "\n## More\n\n" + "\n".join(others) + "\n"
    _write(folder, {"bench.svg": picture.bars(results, conditions), "bench.json": report.as_json(results, conditions)})
    _write(folder, {"README.md": page})


def write_growth(folder: Path, found: Sequence[Grown], conditions: Conditions) -> None:
    """growth.md and growth.svg."""
    parts = [
        "# What a job costs as the queue grows",
        f"Written by `{conditions.command}`. Each row is the median of five windows of 2,000 jobs that our worker "
        "drained from a queue of that size, with the lowest and the highest window. No row should cost more than "
        f"{LIMIT:g} × the smallest of its kind.",
        "![Lines, one panel for each thing that grows](growth.svg)",
        growth.as_table(tuple(found)),
        "\n".join(report.conditions_listed(conditions)),
    ]
    _write(folder, {"growth.md": "\n\n".join(parts) + "\n", "growth.svg": plot.lines(tuple(found))})


def write_distance(folder: Path, distance: Distance, conditions: Conditions) -> None:
    """distance.md."""
    parts = [
        "# Speed with Redis far away",
        f"Written by `{conditions.command}`. No-ops at concurrency 100, through a proxy that delays each way by half "
        f"of the round trip. Ours should keep at least {BOUND:g} of Node's speed at any distance.",
        distance.as_table(),
        "\n".join(report.conditions_listed(conditions)),
    ]
    _write(folder, {"distance.md": "\n\n".join(parts) + "\n"})


def write_board(folder: Path, timed: Sequence[Timed], jobs: int, conditions: Conditions) -> None:
    """board.md."""
    parts = [
        "# How fast the board answers",
        f"Written by `{conditions.command}`: {jobs:,} jobs in one queue, asked over HTTP by one client, each address "
        f"in turn. Every median should be below {board.LIMIT_MS:g} ms; those that are not are bold.",
        board.as_table(tuple(timed)),
        "\n".join(report.conditions_listed(conditions)),
    ]
    _write(folder, {"board.md": "\n\n".join(parts) + "\n"})


_OTHERS = (
    ("growth.md", "What a job costs as the queue grows"),
    ("distance.md", "Speed with Redis far away"),
    ("board.md", "How fast the board answers"),
)


def _write(folder: Path, files: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in files.items():
        (folder / name).write_text(content, encoding="utf-8")
