"""Jobs of one order key, and what became of them in Node's eyes."""

from __future__ import annotations

from collections.abc import Sequence

from jobqueue import App, JobContext, fixed, make_job
from tests.interop.node_peer import NodePeer

ENDS = ("active", "completed", "failed")


@make_job(name="step", attempts=2, backoff=fixed(100))
async def step(ctx: JobContext, payload: object) -> object:
    """Returns what it was given."""
    return payload


async def three(app: App) -> list[str]:
    """The ids of three jobs of one key, their payloads 0, 1 and 2."""
    return [(await app.enqueue_job(step, number, order_key="a")).job_id for number in range(3)]


async def states(app: App, job_ids: Sequence[str]) -> list[str]:
    return [await app.queue().state(job_id) for job_id in job_ids]


async def history(node: NodePeer, job_ids: Sequence[str]) -> list[tuple[str, str]]:
    """Starts and ends of these jobs, in the order of BullMQ's event stream."""
    events = await node.events()
    return [(str(one.event), str(one.job_id)) for one in events if one.event in ENDS and one.job_id in job_ids]


def one_after_another(job_ids: Sequence[str]) -> list[tuple[str, str]]:
    """The history of jobs that all completed, in this order and never two at once."""
    return [(event, job_id) for job_id in job_ids for event in ("active", "completed")]
