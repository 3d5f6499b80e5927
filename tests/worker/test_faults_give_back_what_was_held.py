"""A fault of ours, or of code beside the handler, gives back what its job held."""

from __future__ import annotations

from redis.asyncio import Redis

from jobqueue import JobContext, fixed, make_singleton_job
from tests.conftest import MakeSettings
from tests.worker.harness import ask, at_work, keys_of


def _no_notes(error: object) -> list[str]:
    raise ValueError("no notes")


WithBrokenNotes = type("WithBrokenNotes", (Exception,), {"__notes__": property(_no_notes)})
"""An error whose trace cannot be written: Python asks for its notes."""


async def test_a_fault_after_a_singleton_took_its_lock_does_not_keep_the_lock(
    settings: MakeSettings, redis: Redis
) -> None:
    """The way out for what could not be decided recorded a failure that held nothing: the lock stayed for five
    minutes, and every job of its identity was skipped in favour of a job that had failed.
    """

    async def clean(ctx: JobContext, payload: str) -> str:
        if payload == "good":
            return "cleaned"
        raise WithBrokenNotes("no route")

    handler, ours = make_singleton_job(clean, attempts=2, backoff=fixed(1)), settings(worker_concurrency=1)

    async with at_work(ours, handler) as site:
        bad = await site.app.enqueue_job(handler, "bad")
        assert await site.end_of(bad.job_id) == ("failed", "no route")
        assert (await site.job(bad.job_id)).attempts_made == 2, "its policy counts"
        assert await ask(redis, "EXISTS", keys_of(ours).singleton_lock("clean")) == 0

        good = await site.app.enqueue_job(handler, "good")
        assert await site.end_of(good.job_id) == ("completed", '"cleaned"')


class Undecided(type):
    """A class of errors that fails when it is asked whether an error is one of its own."""

    def __instancecheck__(cls, instance: object) -> bool:
        raise ValueError("undecided")


class Unclear(Exception, metaclass=Undecided):
    """What a policy calls unrecoverable."""


async def test_a_fault_after_a_singleton_took_its_lock_gives_the_lock_back(
    settings: MakeSettings, redis: Redis
) -> None:
    async def clean(ctx: JobContext, payload: str) -> str:
        if payload == "good":
            return "cleaned"
        raise KeyError("no route")

    handler = make_singleton_job(clean, attempts=2, unrecoverable=(Unclear,))
    ours = settings(worker_concurrency=1)

    async with at_work(ours, handler) as site:
        bad = await site.app.enqueue_job(handler, "bad")
        assert await site.end_of(bad.job_id) == ("failed", "could not be run: undecided")
        assert await ask(redis, "EXISTS", keys_of(ours).singleton_lock("clean")) == 0

        good = await site.app.enqueue_job(handler, "good")
        assert await site.end_of(good.job_id) == ("completed", '"cleaned"')
