"""Code of the user's beside the handler's body may raise anything: it costs its own job a try, and nobody else."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel, field_validator, model_serializer
from redis.asyncio import Redis

from jobqueue import Handler, JobContext, fixed, make_job, make_singleton_job, make_superseding_job
from jobqueue.settings import Settings
from tests.conftest import MakeSettings
from tests.worker.harness import Site, add_raw, ask, at_work, keys_of

CONCURRENCY = 2
BAD_JOBS = CONCURRENCY + 2
"""Were each to cost a slot, none would be left for the good job behind them."""


class Custom(Exception):
    """An error of the user's own."""


KINDS: tuple[type[BaseException], ...] = (Custom, SystemExit, asyncio.CancelledError)
RAISED = pytest.mark.parametrize("raised", KINDS)


class Raising(BaseModel):
    """A payload whose validator raises what the payload names."""

    kind: str

    @field_validator("kind")
    @classmethod
    def check(cls, kind: str) -> str:
        raise next(known for known in KINDS if known.__name__ == kind)("validator")


async def ends_then_good(
    settings: Settings, handler: Handler[Any], payload: object, *, raw: bool = False
) -> list[str | None]:
    """Run bad jobs and then good ones, as many as there are slots; returns the reasons for which the bad ones failed.

    `raw` adds them as a foreign tool does, which knows nothing of the payload.
    """

    async def rendezvous(ctx: JobContext) -> None:
        await all_slots.wait()

    all_slots = asyncio.Barrier(CONCURRENCY)
    good = make_job(rendezvous, name="good")

    async with at_work(settings, handler, good) as site:
        job_ids = [await add(site, settings, handler, payload, number, raw=raw) for number in range(BAD_JOBS)]
        ends = [await site.end_of(job_id) for job_id in job_ids]
        last = [await site.app.enqueue_job(good) for _ in range(CONCURRENCY)]
        assert [await site.end_of(job.job_id) for job in last] == [("completed", "null")] * CONCURRENCY
        assert (site.count("job.fenced"), site.count("job.stalled")) == (0, 0)
    assert {state for state, _ in ends} == {"failed"}
    return [reason for _, reason in ends]


async def add(site: Site, settings: Settings, handler: Handler[Any], payload: object, number: int, *, raw: bool) -> str:
    if not raw:
        return (await site.app.enqueue_job(handler.name, payload)).job_id
    job_id = f"raw-{number}"
    async with Redis.from_url(settings.redis_url, decode_responses=True) as redis:
        fields = {"name": handler.name, "data": json.dumps(payload), "opts": "{}", "timestamp": "1"}
        await add_raw(redis, keys_of(settings), job_id, fields)
    return job_id


def two_slots(settings: MakeSettings) -> Settings:
    return settings(worker_concurrency=CONCURRENCY, worker_shutdown_ms=500)


# Errors that cannot be told


class Unspeakable:
    """Something whose text cannot be had."""

    def __init__(self, how: Callable[[], Any]) -> None:
        self.how = how

    def __repr__(self) -> str:
        text: str = self.how()
        return text


class Broken(Exception):
    """An error that fails when it is asked for its text."""

    def __init__(self, how: Callable[[], Any]) -> None:
        super().__init__()
        self.how = how

    def __str__(self) -> str:
        text: str = self.how()
        return text

    __repr__ = __str__


def raises_value_error() -> str:
    raise ValueError("broken")


def raises_cancelled_error() -> str:
    raise asyncio.CancelledError


def is_none() -> None:
    return None


HOW = pytest.mark.parametrize("how", [raises_value_error, sys.exit, raises_cancelled_error, is_none])


@HOW
async def test_an_error_whose_text_cannot_be_had_uses_one_try_at_a_time(
    settings: MakeSettings, how: Callable[[], Any]
) -> None:
    """Its `__str__` was asked while the try's outcome was decided, where nothing was caught. One that raised used up
    all tries at once ("could not be run"), one that raised SystemExit ended the worker, three times over, and one
    that raised CancelledError ended its slot in silence: after as many jobs the worker was alive and deaf.
    """
    runs: list[int] = []

    async def breaks(ctx: JobContext) -> None:
        runs.append(ctx.job.attempt)
        raise Broken(how)

    handler = make_job(breaks, attempts=2, backoff=fixed(1))

    assert await ends_then_good(two_slots(settings), handler, None) == ["Broken"] * BAD_JOBS
    assert sorted(runs) == [1] * BAD_JOBS + [2] * BAD_JOBS


@HOW
async def test_an_error_whose_arguments_cannot_be_shown_is_named_by_its_type(
    settings: MakeSettings, how: Callable[[], Any]
) -> None:
    """The text of an error with two arguments is made of their `__repr__`."""

    async def breaks(ctx: JobContext) -> None:
        raise Custom(Unspeakable(how), "and another")

    handler = make_job(breaks, attempts=1)

    assert await ends_then_good(two_slots(settings), handler, None) == ["Custom"] * BAD_JOBS


@HOW
async def test_a_thread_may_raise_such_an_error_too(settings: MakeSettings, how: Callable[[], Any]) -> None:
    def breaks(ctx: JobContext) -> None:
        raise Broken(how)

    handler = make_job(breaks, attempts=1)

    assert await ends_then_good(two_slots(settings), handler, None) == ["Broken"] * BAD_JOBS


# Functions that the worker calls


@RAISED
async def test_a_backoff_function_that_raises_fails_its_job_with_both_reasons(
    settings: MakeSettings, raised: type[BaseException]
) -> None:
    """Only Exception was caught: `sys.exit` in a backoff function was the end of the worker."""

    def backoff(attempt: int, error: BaseException) -> int:
        raise raised("backoff")

    async def fails(ctx: JobContext) -> None:
        raise Custom("no route")

    handler = make_job(fails, attempts=3, backoff=backoff)
    reasons = await ends_then_good(two_slots(settings), handler, None)

    assert reasons == ["no route (and its backoff function raised backoff)"] * BAD_JOBS


@RAISED
async def test_a_singletons_key_that_raises_at_pick_up_fails_its_job(
    settings: MakeSettings, raised: type[BaseException]
) -> None:
    def key(payload: str) -> str:
        raise raised("key")

    async def clean(ctx: JobContext, payload: str) -> None: ...

    handler = make_singleton_job(clean, key=key, attempts=3)
    reasons = await ends_then_good(two_slots(settings), handler, "tenant", raw=True)

    assert all(reason and "key" in reason for reason in reasons), reasons


@RAISED
async def test_a_dedupe_key_that_raises_at_pick_up_fails_its_job(
    settings: MakeSettings, raised: type[BaseException]
) -> None:
    """A job that a foreign tool added brings no key: the worker asks for it."""

    def dedupe_key(payload: str) -> str:
        raise raised("dedupe_key")

    async def sync(ctx: JobContext, payload: str) -> None: ...

    handler = make_superseding_job(sync, dedupe_key=dedupe_key, attempts=3)
    reasons = await ends_then_good(two_slots(settings), handler, "tenant", raw=True)

    assert all(reason and "dedupe_key" in reason for reason in reasons), reasons


@RAISED
async def test_a_validator_that_raises_at_pick_up_fails_its_job(
    settings: MakeSettings, raised: type[BaseException]
) -> None:
    async def greet(ctx: JobContext, payload: Raising) -> None: ...

    handler = make_job(greet, attempts=3)
    reasons = await ends_then_good(two_slots(settings), handler, {"kind": raised.__name__}, raw=True)

    assert all(reason and "validator" in reason for reason in reasons), reasons


def unserializable(raised: type[BaseException]) -> BaseModel:
    """A result that raises when it is written as JSON."""

    class Result(BaseModel):
        """A result whose serializer is broken."""

        @model_serializer
        def dump(self) -> dict[str, str]:
            raise raised("serializer")

    return Result()


def unreadable(raised: type[BaseException]) -> Iterator[int]:
    """A result that raises when it is read."""
    yield 1
    raise raised("generator")


RESULTS = pytest.mark.parametrize("result", [unserializable, unreadable], ids=["serializer", "generator"])


@RAISED
@RESULTS
async def test_a_result_that_raises_when_it_is_written_fails_its_job_once(
    settings: MakeSettings, raised: type[BaseException], result: Callable[[type[BaseException]], object]
) -> None:
    """Only ValueError was caught, which pydantic makes of what its serializers raise; a generator raises what it
    likes. It would raise each time, so the job has failed, and is not run again for ever.
    """
    runs: list[str] = []

    async def measure(ctx: JobContext) -> object:
        runs.append(ctx.job.id)
        return result(raised)

    handler = make_job(measure, attempts=3)
    reasons = await ends_then_good(two_slots(settings), handler, None)

    assert all(reason and reason.startswith("the result cannot be stored as JSON") for reason in reasons), reasons
    assert len(runs) == BAD_JOBS


# A singleton's lock


def ends_badly(how: str, raised: type[BaseException]) -> object:
    if how == "result":
        return unreadable(raised)

    def text() -> str:
        raise raised("text")

    raise Broken(text)


@RAISED
@pytest.mark.parametrize("how", ["result", "text", "backoff"])
async def test_a_singleton_that_ends_badly_gives_its_lock_back(
    settings: MakeSettings, redis: Redis, how: str, raised: type[BaseException]
) -> None:
    """Where the end of a run could not be decided, the step that gives the lock back was never reached. The failed
    job stayed the holder for five minutes, and every job of its identity was skipped in its favour.
    """

    def backoff(attempt: int, error: BaseException) -> int:
        raise raised("backoff")

    async def clean(ctx: JobContext, payload: str) -> object:
        if payload == "good":
            return "cleaned"
        if how == "backoff":
            raise Custom("no route")
        return ends_badly(how, raised)

    policy_backoff = backoff if how == "backoff" else fixed(1)
    handler = make_singleton_job(clean, attempts=2, backoff=policy_backoff)
    ours = two_slots(settings)

    async with at_work(ours, handler) as site:
        bad = await site.app.enqueue_job(handler, "bad")
        assert (await site.end_of(bad.job_id))[0] == "failed"
        assert await ask(redis, "EXISTS", keys_of(ours).singleton_lock("clean")) == 0

        good = await site.app.enqueue_job(handler, "good")
        assert await site.end_of(good.job_id) == ("completed", '"cleaned"')
