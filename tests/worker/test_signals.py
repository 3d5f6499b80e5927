"""Signals: handed over for a while, and given back."""

from __future__ import annotations

import asyncio
import os
import signal

from jobqueue.worker.signals import caught


async def test_each_signal_of_the_block_is_handed_to_the_function() -> None:
    # given
    heard = asyncio.Queue[str]()

    # when
    with caught((signal.SIGTERM, signal.SIGINT), lambda: heard.put_nowait("heard")):
        for number in (signal.SIGTERM, signal.SIGINT):
            os.kill(os.getpid(), number)

            # then
            assert await heard.get() == "heard"


async def test_the_handler_from_before_is_back_after_the_block() -> None:
    """Asyncio's own, by which Ctrl-C cancels a program's main task, was gone once a worker had run."""
    # given
    before = signal.getsignal(signal.SIGINT)

    # when
    with caught([signal.SIGINT], lambda: None):
        during = signal.getsignal(signal.SIGINT)

    # then
    assert during is not before
    assert signal.getsignal(signal.SIGINT) is before
