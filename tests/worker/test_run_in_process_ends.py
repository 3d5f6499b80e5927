"""A handler in a process of its own may end as it likes: it costs its own job a try, and nobody else."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from jobqueue.handler import Handler
from jobqueue.settings import Settings
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import Site, ask, at_work, keys_of
from tests.worker.processes import SLOW_START_S, is_gone
from tests.worker.programs import in_process_ends as program
from tests.worker.programs.in_process_ends import handler_of


def named(functions: Any) -> dict[str, Any]:
    return {"argvalues": list(functions), "ids": [function.__name__ for function in functions]}


async def reason_of(site: Site, handler: Handler[Any], payload: object = None) -> str | None:
    """Why a job of the handler failed."""
    job = await site.app.enqueue_job(handler.name, payload)
    state, reason = await site.end_of(job.job_id, SLOW_START_S)
    assert state == "failed"
    return reason


async def log_of(redis: Redis, settings: Settings, job_id: str) -> list[str]:
    lines: list[str] = await ask(redis, "LRANGE", keys_of(settings).job_logs(job_id), 0, -1)
    return lines


# A process that dies


@pytest.mark.parametrize("function", **named(program.FATAL))
async def test_a_process_that_dies_costs_its_job_one_try_and_the_worker_goes_on(
    settings: MakeSettings, function: Callable[[JobContext], None]
) -> None:
    may_end = asyncio.Event()

    async def bystander(ctx: JobContext) -> str:
        await may_end.wait()
        return "undisturbed"

    handler, beside = handler_of(function, attempts=1), make_job(bystander)

    async with at_work(settings(), handler, beside) as site:
        other = await site.app.enqueue_job(beside)
        assert await reason_of(site, handler) == program.FATAL[function]
        may_end.set()

        assert await other.wait(10) == "undisturbed"
        assert (site.count("job.fenced"), site.count("job.stalled")) == (0, 0)


async def test_a_try_whose_process_died_is_followed_by_the_next(settings: MakeSettings) -> None:
    async with at_work(settings(), program.exits_at_first) as site:
        job = await site.app.enqueue_job(program.exits_at_first)

        assert await job.wait(SLOW_START_S) == 2
        assert site.count("job.retried") == 1


# An error


@pytest.mark.parametrize("function", **named(program.RAISING))
async def test_whatever_it_raises_fails_its_try_with_what_that_says(
    settings: MakeSettings, function: Callable[[JobContext], Any]
) -> None:
    async with at_work(settings(), handler_of(function, attempts=2)) as site:
        job = await site.app.enqueue_job(function.__name__)
        state, reason = await site.end_of(job.job_id, SLOW_START_S)

        assert (state, (await site.job(job.job_id)).attempts_made) == ("failed", 2)
        assert (reason or "").startswith(program.RAISING[function])


async def test_its_trace_is_what_it_would_be_in_the_worker_s_own_process(settings: MakeSettings) -> None:
    async with at_work(settings(), program.in_process, program.beside) as site:
        traces: list[list[str]] = []
        for handler in (program.in_process, program.beside):
            job = await site.app.enqueue_job(handler)
            assert await site.end_of(job.job_id, SLOW_START_S) == ("failed", "outer")
            [trace] = (await site.job(job.job_id)).stacktrace
            traces.append([line for line in trace.splitlines() if "jobqueue/worker" not in line])

    theirs, ours = traces
    own = ours.index('    raise KeyError("key")') - 1
    assert theirs[: own + 4] == ours[: own + 4]
    assert (theirs[0], theirs[-1]) == ("Traceback (most recent call last):", "ValueError: outer")
    assert "and a note" in theirs


async def test_an_unrecoverable_error_is_known_for_what_it_is_by_its_base_too(settings: MakeSettings) -> None:
    async with at_work(settings(), program.gives_up) as site:
        job = await site.app.enqueue_job(program.gives_up)

        assert await site.end_of(job.job_id, SLOW_START_S) == ("failed", "no space on /data")
        assert (await site.job(job.job_id)).attempts_made == 1


async def test_a_backoff_function_is_told_the_error_with_its_class_and_its_attributes(
    settings: MakeSettings, redis: Redis
) -> None:
    ours = settings()

    async with at_work(ours, program.backs_off) as site:
        job = await site.app.enqueue_job(program.backs_off)
        await eventually(lambda: site.count("job.retried"), SLOW_START_S)

        assert (await site.job(job.job_id)).delay_ms == 7 * 24 * 60 * 60 * 1000


@pytest.mark.parametrize(
    ("word", "end"),
    [("retry", ("completed", "2")), ("snooze", ("completed", "1")), ("discard", ("failed", "of no use"))],
)
async def test_it_may_ask_to_be_tried_again_to_be_run_later_and_to_be_given_up(
    settings: MakeSettings, word: str, end: tuple[str, str]
) -> None:
    async with at_work(settings(), program.asks) as site:
        job = await site.app.enqueue_job(program.asks, word)

        assert await site.end_of(job.job_id, SLOW_START_S) == end


# Results and messages


async def test_a_result_that_is_not_json_fails_the_job_once(settings: MakeSettings) -> None:
    async with at_work(settings(), program.yields) as site:
        reason = await reason_of(site, program.yields, "no JSON")

        assert (reason or "").startswith("the result cannot be stored as JSON")
        assert site.count("job.retried") == 0


async def test_a_result_that_is_too_large_fails_the_job_once(settings: MakeSettings) -> None:
    async with at_work(settings(), program.yields) as site:
        reason = await reason_of(site, program.yields, "too much")

        size = 100 * program.MEGABYTE + 2
        assert reason == f"the result is {size} bytes, the limit is 5242880 (JOBS_MAX_RESULT_BYTES)"
        assert site.count("job.retried") == 0


async def test_a_line_of_any_length_is_cut_before_it_comes_to_the_worker(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()

    async with at_work(ours, program.talks) as site:
        job = await site.app.enqueue_job(program.talks)
        assert await job.wait(SLOW_START_S) == "said"

        [line] = await log_of(redis, ours, job.job_id)
        assert len(line) < 50_100
        assert line.endswith(f"… ({100 * program.MEGABYTE} characters)")


# Told to stop


@pytest.mark.parametrize("function", **named(program.ENDLESS))
async def test_what_does_not_stop_is_killed_after_the_grace(
    settings: MakeSettings, function: Callable[[JobContext], Any]
) -> None:
    handler = handler_of(function, attempts=1, timeout_ms=1_500, grace_ms=50)

    async with at_work(settings(), handler) as site:
        assert await reason_of(site, handler) == "timed out after 1500 ms"
        assert site.worker.stragglers.running == {}
        assert site.worker.processes.pids == frozenset()


async def test_what_it_started_is_killed_with_it(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()

    async with at_work(ours, program.starts) as site:
        job = await site.app.enqueue_job(program.starts)
        assert await site.end_of(job.job_id, SLOW_START_S) == ("failed", "timed out after 2000 ms")

        started = int((await log_of(redis, ours, job.job_id))[0])
        await eventually(lambda: is_gone(started))


async def test_a_worker_that_stops_puts_it_back_and_has_no_process_left(settings: MakeSettings, redis: Redis) -> None:
    ours = settings(worker_shutdown_ms=100)

    async with at_work(ours, program.waits) as site:
        job = await site.app.enqueue_job(program.waits)
        [pid] = await eventually(lambda: log_of(redis, ours, job.job_id), SLOW_START_S)
        await site.worker.stop()

        assert await ask(redis, "LRANGE", keys_of(ours).of("wait"), 0, -1) == [job.job_id]
        assert (await site.job(job.job_id)).attempts_made == 0
        assert is_gone(int(pid))
        assert int(pid) != os.getpid()


async def test_one_that_is_cancelled_is_killed_after_the_grace(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()

    async with at_work(ours, program.waits) as site:
        job = await site.app.enqueue_job(program.waits)
        [pid] = await eventually(lambda: log_of(redis, ours, job.job_id), SLOW_START_S)
        await site.app.cancel_job(job.job_id, "not wanted")

        assert await site.end_of(job.job_id) == ("failed", "Cancelled: not wanted")
        assert is_gone(int(pid))


async def test_one_that_is_superseded_is_killed_after_the_grace(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()

    async with at_work(ours, program.syncs) as site:
        older = await site.app.enqueue_job(program.syncs, "lane", job_id="older")
        [pid] = await eventually(lambda: log_of(redis, ours, "older"), SLOW_START_S)
        newer = await site.app.enqueue_job(program.syncs, "lane")

        assert await older.wait(SLOW_START_S) == {"superseded": True, "by": newer.job_id}
        assert await newer.wait(SLOW_START_S) == "synced"
        assert is_gone(int(pid))


async def test_one_that_is_acknowledged_by_hand_is_over_when_somebody_says_so(
    settings: MakeSettings, redis: Redis
) -> None:
    ours = settings()

    async with at_work(ours, program.hands_over) as site:
        job = await site.app.enqueue_job(program.hands_over)
        await eventually(lambda: log_of(redis, ours, job.job_id), SLOW_START_S)
        await site.app.mark_done(job.job_id, "by hand")

        assert await job.wait(SLOW_START_S) == "by hand"
