"""Clock: the one place that asks what time it is."""

from __future__ import annotations

import time


def now_ms() -> int:
    """The wall clock in epoch milliseconds, as BullMQ stamps jobs."""
    return time.time_ns() // 1_000_000
