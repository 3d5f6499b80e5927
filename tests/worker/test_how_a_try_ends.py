"""What a handler may raise to end its try: another one, a later one, none."""

from __future__ import annotations

from redis.asyncio import Redis

from jobqueue import Discard, JobContext, Retry, Snooze, fixed, make_job
from jobqueue.clock import now_ms
from tests.conftest import MakeSettings
from tests.worker.harness import ask, at_work, keys_of

FAR_MS = 60_000


async def test_a_handler_may_say_when_it_is_tried_again(settings: MakeSettings) -> None:
    tried_ms: list[int] = []

    async def busy_elsewhere(ctx: JobContext) -> str:
        tried_ms.append(now_ms())
        if ctx.job.attempt == 1:
            raise Retry(150)
        return "done"

    handler = make_job(busy_elsewhere, backoff=fixed(FAR_MS))

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id) == ("completed", '"done"')
        assert tried_ms[1] - tried_ms[0] >= 150
        assert (await site.job(job.job_id)).attempts_made == 2


async def test_a_retry_without_a_delay_waits_for_the_backoff(settings: MakeSettings) -> None:
    tried_ms: list[int] = []

    async def busy_elsewhere(ctx: JobContext) -> None:
        tried_ms.append(now_ms())
        if ctx.job.attempt == 1:
            raise Retry

    handler = make_job(busy_elsewhere, backoff=fixed(200))

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)
        await site.end_of(job.job_id)

        assert tried_ms[1] - tried_ms[0] >= 200


async def test_a_handler_that_asks_for_a_retry_each_time_fails_when_no_attempt_is_left(settings: MakeSettings) -> None:
    tries: list[int] = []

    async def never_ready(ctx: JobContext) -> None:
        tries.append(ctx.job.attempt)
        raise Retry(1)

    handler = make_job(never_ready, attempts=3)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id) == ("failed", "the handler asked for another try")
        assert tries == [1, 2, 3]


async def test_a_job_may_snooze_more_often_than_it_has_attempts(settings: MakeSettings) -> None:
    runs: list[tuple[int, int]] = []

    async def waits_for_somebody(ctx: JobContext) -> str:
        runs.append((ctx.job.attempt, now_ms()))
        if len(runs) < 5:
            raise Snooze(20)
        return "done"

    handler = make_job(waits_for_somebody, attempts=1)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id) == ("completed", '"done"')
        assert [attempt for attempt, _ in runs] == [1] * 5
        assert runs[-1][1] - runs[0][1] >= 4 * 20
        assert (await site.job(job.job_id)).failed_reason is None
        assert site.count("job.postponed") == 4


async def test_a_discarded_job_is_failed_with_its_reason_and_tried_no_more(
    settings: MakeSettings, redis: Redis
) -> None:
    tries: list[int] = []

    async def gives_up(ctx: JobContext) -> None:
        tries.append(ctx.job.attempt)
        raise Discard("the order was deleted")

    handler = make_job(gives_up, attempts=5)
    ours = settings()

    async with at_work(ours, handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id) == ("failed", "the order was deleted")
        assert tries == [1]
        log = await ask(redis, "LRANGE", keys_of(ours).job_logs(job.job_id), 0, -1)
        assert log == ["failed: the order was deleted"]


async def test_a_handler_in_a_thread_ends_its_try_in_the_same_ways(settings: MakeSettings) -> None:
    def in_a_thread(ctx: JobContext, payload: str) -> None:
        if payload == "retry" and ctx.job.attempt == 1:
            raise Retry(1)
        if payload == "discard":
            raise Discard("gone")

    handler = make_job(in_a_thread, attempts=2, backoff=fixed(FAR_MS))

    async with at_work(settings(), handler) as site:
        retried = await site.app.enqueue_job(handler, "retry")
        discarded = await site.app.enqueue_job(handler, "discard")

        assert await site.end_of(retried.job_id) == ("completed", "null")
        assert await site.end_of(discarded.job_id) == ("failed", "gone")


async def test_a_time_limit_outweighs_what_the_handler_asks_for(settings: MakeSettings) -> None:
    async def puts_it_off(ctx: JobContext) -> None:
        await ctx.signal.wait()
        raise Snooze(FAR_MS)

    handler = make_job(puts_it_off, attempts=1, timeout_ms=50)

    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler)

        assert await site.end_of(job.job_id) == ("failed", "timed out after 50 ms")
