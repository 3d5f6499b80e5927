"""Gates: the order keys and limits before which jobs are parked."""

from __future__ import annotations

import asyncio
from typing import Final

from jobqueue.inspector.stored import clean
from jobqueue.inspector.turns import gate_name, holders_of
from jobqueue.inspector.views import Gate
from jobqueue.queue import Queue
from jobqueue.scripts import own

MAX_GATES: Final = 1_000
"""Of those with parked jobs that are looked at, those first whose last repair is longest ago."""


async def gates_of(queue: Queue, limit: int) -> tuple[Gate, ...]:
    """Those with the most parked jobs first."""
    flat: list[str] = await queue.client.run(own("parkedBefore"), [queue.keys.parked()], [MAX_GATES])
    parked = {gate: int(count) for gate, count in zip(flat[::2], flat[1::2], strict=True)}
    fullest = sorted(parked, key=lambda gate: (-parked[gate], gate))[:limit]
    return tuple(await asyncio.gather(*(_gate(queue, gate, parked[gate]) for gate in fullest)))


async def _gate(queue: Queue, key: str, parked: int) -> Gate:
    kind, name = gate_name(queue.keys, key)
    holders, _ = await holders_of(queue, key)
    return Gate(kind, clean(name), tuple(map(clean, holders)), parked)
