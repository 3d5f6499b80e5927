"""Vitals: what processes and a Redis use, one sample after another."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Final, TypeAlias, cast

from scripts.chaos.ground import Ground

Sample: TypeAlias = Mapping[str, float]
"""One moment. Shape: `s` is the time since the first one; the other names are `<who>: <what>`, the unit in `what`."""

RSS: Final = "RSS, MB"
HANDLES: Final = "open file handles"
THREADS: Final = "threads"
CPU: Final = "CPU, s"
KEYS: Final = "keys: "
STATISTICS: Final = "job:stats"
KEPT: Final = f"{KEYS}all but those by the clock"
WAITING: Final = "jobs that wait"
_MB: Final = 2**20
_PAGE: Final = os.sysconf("SC_PAGE_SIZE")
_TICK: Final = os.sysconf("SC_CLK_TCK")

Known: TypeAlias = Callable[[], Mapping[str, int]]
"""Who is looked at: names with process ids, asked anew each time."""


async def sampling(site: Ground, known: Known, each_s: float, samples: list[Sample]) -> None:
    """Add a sample each so many seconds, for ever; one for which there is no time is left out."""
    began_s = time.monotonic()
    while True:
        await asyncio.sleep(each_s - (time.monotonic() - began_s) % each_s)  # samples have a rhythm
        at_s = time.monotonic() - began_s
        samples.append({"s": round(at_s, 1), **_of_processes(known()), **await _of_redis(site)})


def _of_processes(known: Mapping[str, int]) -> dict[str, float]:
    found: dict[str, float] = {}
    for name, pid in known.items():
        used = of_process(pid)
        found |= {f"{name}: {what}": figure for what, figure in used.items()}
    return found


def of_process(pid: int) -> dict[str, float]:
    """Nothing of a process that is gone."""
    folder = Path("/proc", str(pid))
    try:
        pages = int((folder / "statm").read_text(encoding="ascii").split()[1])
        times = (folder / "stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        handles = sum(1 for _ in (folder / "fd").iterdir())
    except (FileNotFoundError, ProcessLookupError):
        return {}
    cpu_s = (int(times[11]) + int(times[12])) / _TICK
    return {RSS: round(pages * _PAGE / _MB, 3), HANDLES: handles, THREADS: int(times[17]), CPU: cpu_s}


async def _of_redis(site: Ground) -> dict[str, float]:
    told = cast(Mapping[str, int], await site.redis.info("memory"))
    counts = await keys_by_kind(site)
    return {
        WAITING: (await site.unfinished())["wait"],
        "Redis: used memory, MB": round(told["used_memory"] / _MB, 3),
        "Redis: RSS by its own account, MB": round(told["used_memory_rss"] / _MB, 3),
        KEPT: sum(counts.values()) - counts[STATISTICS],
        **{KEYS + kind: number for kind, number in sorted(counts.items())},
    }


async def keys_by_kind(site: Ground) -> Counter[str]:
    """How many keys of each kind the whole Redis has."""
    counts: Counter[str] = Counter()
    keys = cast(AsyncIterator[str], site.redis.scan_iter(count=1_000))
    async for key in keys:
        counts[kind_of(key.removeprefix(site.keys.base))] += 1
    return counts


def kind_of(key: str) -> str:
    """What a key of a queue is, without the queue's own beginning."""
    first, _, rest = key.partition(":")
    if first == "job":
        return f"job:{rest.partition(':')[0]}"
    if first == "repeat":
        return "jobs of slots" if ":" in rest else "schedulers"
    if first.isdigit():
        return f"{rest} of jobs" if rest else "jobs"
    return first
