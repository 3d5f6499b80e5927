"""Machine: the conditions that belong beside every figure."""

from __future__ import annotations

import os
import platform
import shlex
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from jobqueue.bench.results import Results


@dataclass(frozen=True, slots=True)
class Conditions:
    """When, where and with what a bench ran. `command` repeats it."""

    date: str
    system: str
    processor: str
    cores: int
    memory_gib: float
    redis: str
    python: str
    node: str
    pinned: bool
    rounds: int
    command: str
    versions: dict[str, dict[str, str]]

    @classmethod
    def now(cls, results: Results, *, pinned: bool, rounds: int, arguments: Sequence[str]) -> Conditions:
        """Those of this machine, and the versions that the programs told."""
        return cls(
            date=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
            system=f"{platform.system()} {platform.release()}",
            processor=_processor(),
            cores=os.cpu_count() or 1,
            memory_gib=round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30, 1),
            redis=_said("redis-server", "--version").partition("v=")[2].partition(" ")[0] or "none",
            python=platform.python_version(),
            node=_said("node", "--version").strip().removeprefix("v") or "none",
            pinned=pinned and sys.platform == "linux",
            rounds=rounds,
            command=shlex.join(["jobqueue", "bench", *arguments]),
            versions={run.peer: dict(run.versions) for run in results.runs if run.versions},
        )


def _processor() -> str:
    """The model's name, where the system tells it."""
    path = Path("/proc/cpuinfo")
    if path.exists():
        for line in path.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _said(*command: str) -> str:
    """What a program prints; nothing where there is no such program."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=10).stdout
    except FileNotFoundError:
        return ""
