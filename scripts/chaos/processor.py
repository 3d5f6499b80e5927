"""Processor time of other processes, as the kernel counts it."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final

_TICKS_A_SECOND: Final = os.sysconf("SC_CLK_TCK")
_USER, _SYSTEM = 11, 12  # fields of /proc/PID/stat, counted from the one after the name


def used_s(pids: Iterable[int]) -> dict[int, float]:
    """Seconds of processor time that each process has used since it began."""
    return {pid: _used_s(pid) for pid in pids}


def _used_s(pid: int) -> float:
    """A name may hold anything, brackets and blanks too; what follows its last bracket does not."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[_USER]) + int(fields[_SYSTEM])) / _TICKS_A_SECOND
