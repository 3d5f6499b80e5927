"""Signals: handed to a function on the running event loop."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from types import FrameType


@contextmanager
def caught(
    numbers: Sequence[signal.Signals], act: Callable[[], object], *, afterwards: signal.Handlers | None = None
) -> Generator[None]:
    """Call `act` for each of the signals that comes during the block.

    At its end each gets its handler from before, or the one given. Concurrency: in the main thread only.
    """
    loop = asyncio.get_running_loop()

    def on_signal(_number: int, _frame: FrameType | None) -> None:
        loop.call_soon_threadsafe(act)

    # Not the loop's: taking its handler away restores the default for a moment, in which a signal kills.
    before = {number: signal.signal(number, on_signal) for number in numbers}
    try:
        yield
    finally:
        for number, handler in before.items():
            # What was not installed from Python is told as None, and cannot be installed from there.
            signal.signal(number, afterwards if afterwards is not None else handler or signal.SIG_DFL)
