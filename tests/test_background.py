"""What runs beside the rest, and how it ends."""

from __future__ import annotations

import asyncio

import pytest

from jobqueue.background import Periodic, Together


class Patient(Periodic):
    """A loop that says goodbye only when the others do."""

    def __init__(self, goodbye: asyncio.Barrier) -> None:
        super().__init__()
        self._goodbye = goodbye

    async def tick(self) -> float:
        return 60.0

    async def stop(self) -> None:
        await super().stop()
        await self._goodbye.wait()


async def test_what_stops_together_does_not_wait_for_one_another() -> None:
    """A worker of five queues, whose Redis stood still, waited five times for the answer to a last word."""
    goodbye, together = asyncio.Barrier(5), Together()
    await together.start(*[Patient(goodbye) for _ in range(5)])

    await asyncio.wait_for(together.stop(), timeout=10)


async def test_what_cannot_be_stopped_keeps_nothing_else_from_it() -> None:
    stopped, together = asyncio.Event(), Together()

    async def fail() -> None:
        raise RuntimeError("no")

    async def stop() -> None:
        await asyncio.sleep(0)
        stopped.set()

    together.add(fail)
    together.add(stop)
    with pytest.raises(RuntimeError, match="no"):
        await together.stop()
    assert stopped.is_set()
