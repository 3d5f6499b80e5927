"""Filling: a queue with a million jobs in all states, made inside Redis, since adding them one by one takes minutes."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

import redis

_AT_ONCE: Final = 10_000

_FILL: Final = Path(__file__).parent / "fill.lua"


@dataclass(frozen=True, slots=True)
class Load:
    """How many jobs of each state a queue gets."""

    completed: int = 900_000
    failed: int = 100_000
    waiting: int = 100_000
    delayed: int = 10_000

    @property
    def jobs(self) -> int:
        return self.completed + self.failed + self.waiting + self.delayed

    def by_key(self) -> dict[Literal["completed", "failed", "wait", "delayed"], int]:
        """Under the names of BullMQ's keys, in the order in which the ids are given."""
        return {"completed": self.completed, "failed": self.failed, "wait": self.waiting, "delayed": self.delayed}


def fill(url: str, base: str, load: Load, on_filled: Callable[[int], None]) -> None:
    """Ids count from 1. `on_filled` is told how many jobs there are, every so often."""
    now_ms, first = int(time.time() * 1000), 1
    with redis.Redis.from_url(url) as client:
        make = client.register_script(_FILL.read_text(encoding="utf-8"))
        for state, wanted in load.by_key().items():
            for start in range(0, wanted, _AT_ONCE):
                count = min(_AT_ONCE, wanted - start)
                make(keys=[base + state], args=[base, state, first, count, now_ms])
                first += count
                on_filled(first - 1)
        client.hset(f"{base}meta", mapping={"version": "bullmq:6.7.0", "opts.maxLenEvents": "10000"})
        client.set(f"{base}id", first)
