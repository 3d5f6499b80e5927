"""Parking: a parked job is let go by the gate that it stands before. Which stand before none?"""

from __future__ import annotations

import asyncio

from jobqueue.doctor.check import Check, some_of
from jobqueue.doctor.scanning import members_of
from jobqueue.queue import Queue


async def check_parked(queue: Queue, max_scanned: int) -> Check:
    """Jobs in waiting-children that have no children and that no order key or limit will let go: they never run."""
    name = f"parked jobs of {queue.name}"
    parked, is_whole = await _parked(queue, max_scanned)
    in_part = "" if is_whole else f" (found among {max_scanned} jobs in waiting-children; there are more)"
    stranded = await _stranded(queue, parked)
    if not stranded:
        return Check(name, "ok", f"{len(parked)}, each let go by its order key or limit{in_part}")
    detail = f"{len(stranded)} of {len(parked)} are let go by no order key and no limit: {some_of(stranded)}{in_part}"
    advice = f"Run jobqueue jobs cancel ID --queue {queue.name} for each, then retry it on the board."
    return Check(name, "warning", detail, advice)


async def _parked(queue: Queue, max_scanned: int) -> tuple[set[str], bool]:
    """The ids, and whether all of waiting-children was looked at. A flow's parent there has dependencies."""
    looked_at, parked = 0, set[str]()
    async for batch in members_of(queue.client, "zset", queue.keys.of("waiting-children")):
        if looked_at >= max_scanned:
            return parked, False
        looked_at += len(batch)
        verdicts = await asyncio.gather(*(_is_parked(queue, job_id) for job_id in batch))
        parked.update(job_id for job_id, is_parked in zip(batch, verdicts, strict=True) if is_parked)
    return parked, True


async def _is_parked(queue: Queue, job_id: str) -> bool:
    place, dependencies = await asyncio.gather(
        queue.client.call("ZSCORE", queue.keys.of("waiting-children"), job_id),
        queue.client.call("EXISTS", f"{queue.keys.job(job_id)}:dependencies"),
    )
    return place is not None and not dependencies


async def _stranded(queue: Queue, parked: set[str]) -> list[str]:
    """Those that stand before no gate, and still do not when they are looked at once more."""
    left = set(parked)
    async for gates in members_of(queue.client, "zset", queue.keys.parked()):
        if not left:
            break
        before = await asyncio.gather(*(_standing_before(queue, gate) for gate in gates))
        left.difference_update(*before)
    still = await asyncio.gather(*(_is_parked(queue, job_id) for job_id in left))
    return sorted(job_id for job_id, is_parked in zip(left, still, strict=True) if is_parked)


async def _standing_before(queue: Queue, gate: str) -> set[str]:
    """Those with a rank; a holder has the score 0."""
    standing = set[str]()
    async for batch in members_of(queue.client, "zset", gate):
        standing.update(job_id for job_id, rank in batch.items() if rank > 0)
    return standing
