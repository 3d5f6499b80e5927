"""What the tests of `run_in="process"` share."""

from __future__ import annotations

from typing import Final

import psutil

SLOW_START_S: Final = 30.0
"""A child is a fresh interpreter; a busy machine takes its time to start one."""


def is_gone(pid: int) -> bool:
    """True where the process has ended, also where nobody has asked how: an orphan's end may wait for that."""
    try:
        status: str = psutil.Process(pid).status()
    except psutil.NoSuchProcess:
        return True
    return bool(status == psutil.STATUS_ZOMBIE)
