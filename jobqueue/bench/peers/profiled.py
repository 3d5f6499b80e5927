"""Profiled: what each room of ours costs for a job, from the records of cProfile."""

from __future__ import annotations

import cProfile
import json
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType

import jobqueue

_ROOT = Path(jobqueue.__file__).parent
_TOP = 25


@dataclass(slots=True)
class _Cost:
    own_s: float = 0.0
    calls: int = 0

    def add(self, own_s: float, calls: int) -> None:
        self.own_s += own_s
        self.calls += calls

    def for_each(self, jobs: int) -> dict[str, float]:
        return {"us": self.own_s / jobs * 1e6, "calls": self.calls / jobs}


@dataclass(slots=True)
class _Costs:
    by_room: defaultdict[str, _Cost] = field(default_factory=lambda: defaultdict(_Cost))
    by_function: defaultdict[str, _Cost] = field(default_factory=lambda: defaultdict(_Cost))


def told(profile: cProfile.Profile, jobs: int, seconds: float, cpu_s: float) -> str:
    """One JSON line: each room's and function's own time and calls, a job. What is written in C counts for its caller,
    and is listed beside it."""
    costs = _collect(profile)
    rooms = {room: cost.for_each(jobs) for room, cost in costs.by_room.items()}
    dearest = sorted(costs.by_function.items(), key=lambda item: item[1].own_s, reverse=True)[:_TOP]
    functions = {name: cost.for_each(jobs) for name, cost in dearest}
    return json.dumps({"jobs": jobs, "seconds": seconds, "cpu_s": cpu_s, "rooms": rooms, "functions": functions})


def _collect(profile: cProfile.Profile) -> _Costs:
    costs = _Costs()
    for entry in profile.getstats():
        if not isinstance(entry.code, CodeType):
            continue
        room, name = room_of(entry.code.co_filename), entry.code.co_qualname
        costs.by_room[room].add(entry.inlinetime, entry.callcount)
        costs.by_function[f"{room}: {name}"].add(entry.inlinetime, entry.callcount)
        for called in entry.calls or ():
            if isinstance(called.code, str):
                costs.by_room[room].add(called.inlinetime, 0)
                costs.by_function[f"{room}: {name} → {called.code}"].add(called.inlinetime, called.callcount)
    return costs


def room_of(file: str) -> str:
    """Our file by its path inside the package, another's by the name of its package."""
    path = Path(file)
    if path.is_relative_to(_ROOT):
        inside = path.relative_to(_ROOT)
        return "the handler" if inside.parts[0] == "bench" else str(inside)
    if "site-packages" in path.parts:
        return path.parts[path.parts.index("site-packages") + 1]
    return path.stem if path.parent.name.startswith("python3") else path.parent.name or file
