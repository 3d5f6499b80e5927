"""Trap 11, once more: hashes that can be read, and at which a script stumbles in the middle of its work."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import add_raw, ask, at_work, keys_of, position
from tests.worker.test_trap_11_malformed_jobs import GOOD

STUMBLING: dict[str, Mapping[str, str]] = {
    "claims are no number": {"ats": "x"},
    "claims are empty": {"ats": ""},
    "claims are a number that Redis does not add to": {"ats": "1.0"},
    "tries are empty": {"atm": ""},
    "tries are a number that Redis does not add to": {"atm": "1e3"},
    "tries are negative, which would grant more of them": {"atm": "-5"},
    "stalls are digits of another script": {"stc": "٣"},
    "the parent is no JSON": {"parent": "{oops", "parentKey": "bull:jobs:1"},
    "the parent is no JSON and has no key": {"parent": "{oops"},
    "the parent has no id": {"parent": "{}", "parentKey": "bull:jobs:1"},
    "the parent's key names no queue": {"parentKey": "x"},
}


@pytest.mark.parametrize("kind", STUMBLING)
async def test_a_job_that_a_script_would_stumble_over_is_set_aside_unrun(
    settings: MakeSettings, redis: Redis, kind: str
) -> None:
    """With `ats` the claim failed when it had moved the job: all claims rested for a second, and again each time that
    the job stalled, for ever. With the others the record failed: the job ran once a lock, for ever, or was in no list.
    """
    runs: list[str] = []

    async def work(ctx: JobContext) -> None:
        runs.append(ctx.job.id)
        raise RuntimeError("fails, so that its parent would hear of it")

    handler = make_job(work, attempts=1)
    ours = settings(worker_concurrency=1)
    keys = keys_of(ours)

    async with at_work(ours, handler) as site:
        await add_raw(redis, keys, "bad", {**GOOD, **STUMBLING[kind]})
        state, reason = await site.end_of("bad")

        assert (state, runs) == ("failed", [])
        assert reason is not None
        assert reason.startswith("malformed job: field")
        assert await ask(redis, "LLEN", keys.of("active")) == 0
        assert not await ask(redis, "EXISTS", keys.job_lock("bad"))


async def test_a_job_whose_record_stumbles_over_the_next_one_is_told_of_as_completed(
    settings: MakeSettings, redis: Redis
) -> None:
    """The script that records a job claims the next one. Where that failed, the recorded job's end was told to nobody,
    and the next one stayed locked for as long as a lock lives.
    """

    async def work(ctx: JobContext) -> str:
        await add_raw(redis, keys, "bad", {**GOOD, "ats": "x"})
        return "done"

    handler = make_job(work)
    ours = settings(worker_concurrency=1)
    keys = keys_of(ours)

    async with at_work(ours, handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await job.wait(10) == "done"
        assert (await site.end_of("bad"))[0] == "failed"
        await eventually(lambda: site.count("job.completed") == 1)
        assert await position(redis, keys, job.job_id) == "completed"
