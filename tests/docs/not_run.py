"""Few blocks and commands that are not run, by page and first line, and why. A `*` at the end stands for the rest."""

from __future__ import annotations

from typing import Final

_MINUTES = "takes minutes"

NOT_RUN: Final[dict[tuple[str, str], str]] = {
    ("README.md", "jobqueue bench *"): _MINUTES,
    ("README.md", "scripts/test"): "is this suite",
    ("docs/cli.md", "jobqueue doctor --fix"): "asks a person, about what a crash has left behind",
    ("docs/channel.md", "python -m handlers.channel"): "tests/handlers/channel/test_command.py runs it",
    ("docs/cluster.md", "python -m scripts.cluster_speed --rounds 5 --jobs 20000"): _MINUTES,
    ("docs/reliability.md", "scripts/chaos/run *"): _MINUTES,
}


def is_run(page: str, first_line: str) -> bool:
    return not any(page == listed and matches(line, first_line) for listed, line in NOT_RUN)


def matches(entry: str, first_line: str) -> bool:
    beginning = entry.removesuffix("*")
    return first_line.startswith(beginning) if beginning != entry else first_line == entry
