"""Report: what a program saw, whether what must hold did, and under which conditions."""

from __future__ import annotations

import json
import math
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TypeAlias

Figure: TypeAlias = int | float | str
"""One figure of a report; a float is in the unit that its name says."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A sentence that must hold, and what was seen."""

    sentence: str
    holds: bool
    seen: str


@dataclass(slots=True)
class Findings:
    """What a program gathers while it runs."""

    figures: dict[str, Figure] = field(default_factory=dict[str, Figure])
    claims: list[Claim] = field(default_factory=list[Claim])
    samples: list[Mapping[str, float]] = field(default_factory=list[Mapping[str, float]])
    """What was measured over time, where that is the subject; only in the JSON."""

    def claim(self, sentence: str, faults: Sequence[object], seen: str = "") -> None:
        """It holds where there are no faults; the first of them are shown."""
        shown = "; ".join(map(str, faults[:5]))
        more = f" … {len(faults)} in all" if len(faults) > 5 else ""
        self.claims.append(Claim(sentence, not faults, (shown + more) if faults else seen or "none"))

    def times(self, name: str, times_s: Sequence[float]) -> None:
        """Median, 99th percentile and greatest of some times, in seconds."""
        self.figures[f"{name}: how many"] = len(times_s)
        if times_s:
            p50, p99, most = (quantile(times_s, part) for part in (0.5, 0.99, 1.0))
            self.figures[f"{name}: p50 / p99 / max, s"] = f"{p50:.2f} / {p99:.2f} / {most:.2f}"


@dataclass(frozen=True, slots=True)
class Report:
    """The findings of one program with the conditions that they were made under."""

    program: str
    title: str
    seed: int
    size: Mapping[str, int]
    command: str
    date: str
    machine: str
    took_s: float
    figures: Mapping[str, Figure]
    claims: Sequence[Claim]
    samples: Sequence[Mapping[str, float]] = ()

    @property
    def holds(self) -> bool:
        return all(claim.holds for claim in self.claims)

    def as_json(self) -> str:
        return json.dumps({**asdict(self), "holds": self.holds}, indent=2)

    def as_text(self) -> str:
        size = ", ".join(f"{name}={number}" for name, number in self.size.items())
        lines = [f"{self.program}  {self.title}", f"  {self.command}", f"  seed {self.seed}; {size}"]
        lines += [f"  {self.date}; {self.machine}; took {self.took_s:.0f} s", ""]
        lines += [f"  {name:<58} {_shown(figure)}" for name, figure in self.figures.items()]
        lines += [
            "",
            *(f"  {'holds ' if claim.holds else 'BROKEN'}  {claim.sentence}: {claim.seen}" for claim in self.claims),
        ]
        return "\n".join(lines)


def quantile(values: Sequence[float], part: float) -> float:
    """The smallest value that at least that part of them do not exceed."""
    ordered = sorted(values)
    return ordered[max(math.ceil(part * len(ordered)), 1) - 1]


def machine() -> str:
    """The machine in a few words."""
    model = next((line.partition(":")[2].strip() for line in _cpu_lines() if line.startswith("model name")), "")
    memory_gib = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    processor = f"{os.cpu_count()} cores{f' ({model})' if model else ''}"
    return f"{processor}, {memory_gib:.0f} GiB, Python {platform.python_version()}"


def _cpu_lines() -> list[str]:
    path = Path("/proc/cpuinfo")
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _shown(figure: Figure) -> str:
    return f"{figure:,.2f}" if isinstance(figure, float) else f"{figure:,}" if isinstance(figure, int) else figure
