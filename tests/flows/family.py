"""Handlers that the tests of flows use, and what they ask about a tree in Redis."""

from __future__ import annotations

from redis.asyncio import Redis

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.flows import EnqueuedFlow

NO_ROUTE = "no route"


@make_job
async def echo(ctx: JobContext, payload: object) -> object:
    """Returns what it was given."""
    return payload


@make_job(attempts=1)
async def fail(ctx: JobContext, payload: object) -> None:
    """Fails each time."""
    raise RuntimeError(NO_ROUTE)


@make_job
async def add_up(ctx: JobContext, payload: int) -> int:
    """Returns its number and those of its children in one sum."""
    return payload + sum(result for result in await ctx.children_results() if isinstance(result, int))


REGISTRY = Registry([echo, fail, add_up])


async def stored_ids(redis: Redis, prefix: str, queue: str = "jobs") -> set[str]:
    """The ids of all jobs of a queue that are stored."""
    base = f"{prefix}:{queue}:"
    words = [str(key).removeprefix(base) for key in await redis.keys(f"{base}*") or ()]
    hashes = [word for word in words if ":" not in word and await redis.type(base + word) == "hash"]
    return {*hashes} - {"meta"}


async def state_of(app: App, job: EnqueuedFlow) -> str:
    """The list or set that the job is in, in BullMQ's word for it."""
    keys, client = app.queue(job.queue).keys, app.client
    if job.job_id in await client.call("LRANGE", keys.of("wait"), 0, -1):
        return "wait"
    for word in ("waiting-children", "prioritized", "delayed", "completed", "failed"):
        if await client.call("ZSCORE", keys.of(word), job.job_id) is not None:
            return word
    return "nowhere"


async def hash_of(app: App, job: EnqueuedFlow) -> dict[str, str]:
    """The job's hash as it is stored."""
    flat = await app.client.call("HGETALL", app.queue(job.queue).keys.job(job.job_id))
    return dict(zip(flat[::2], flat[1::2], strict=True))
