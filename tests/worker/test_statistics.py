"""What a worker counts: how tries ended, how long they took, and how long jobs waited."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, fixed, make_job
from jobqueue.statistics import (
    RAN,
    RELATIVE_ERROR,
    RESOLUTIONS,
    WAITED,
    WHOLE_QUEUE,
    quantile_ms,
)
from jobqueue.wire import NOTHING
from jobqueue.worker.outcomes import (
    Cancelled,
    Failed,
    Outcome,
    Parked,
    Postponed,
    Released,
    Retried,
    Skipped,
)
from jobqueue.worker.statistics import Figures
from tests.conftest import MakeSettings
from tests.worker.figures import DONE, ended, job_of, kept
from tests.worker.harness import add_raw, at_work, keys_of


async def test_the_figures_equal_what_ran(settings: MakeSettings, redis: Redis) -> None:
    async def flaky(ctx: JobContext, goes_well_on: int) -> None:
        if ctx.job.attempt < goes_well_on:
            raise ValueError("not yet")

    async def other(ctx: JobContext) -> None: ...

    handler, another = make_job(flaky, attempts=2, backoff=fixed(1)), make_job(other)
    ours = settings()

    async with at_work(ours, handler, another) as site:
        added = [(handler, 1)] * 7 + [(handler, 2)] * 3 + [(handler, 9)] * 2
        jobs = [*await site.app.enqueue_jobs(added), *await site.app.enqueue_jobs([(another, None)] * 5)]
        for one in jobs:
            await site.end_of(one.job_id)

    for resolution in RESOLUTIONS:
        by_handler = await kept(ours, resolution.word)
        assert ended(by_handler["flaky"]) == (10, 2, 5)
        assert ended(by_handler["other"]) == (5, 0, 0)
        assert ended(by_handler[WHOLE_QUEUE]) == (15, 2, 5)


async def test_a_job_of_no_handler_counts_as_failed_and_has_not_run(settings: MakeSettings, redis: Redis) -> None:
    ours = settings()

    async with at_work(ours) as site:
        await add_raw(redis, keys_of(ours), "n1", {"name": "nobody", "data": "{}", "opts": "{}", "timestamp": "1"})
        await site.end_of("n1")

    counts = (await kept(ours))["nobody"]
    assert ended(counts) == (0, 1, 0)
    assert quantile_ms(counts, RAN, 0.5) is None


@pytest.mark.parametrize(
    ("outcome", "counted"),
    [
        (DONE, (1, 0, 0)),
        (Skipped("7"), (1, 0, 0)),
        (Failed("why"), (0, 1, 0)),
        (Cancelled("why"), (0, 1, 0)),
        (Retried(10, "why", ""), (0, 0, 1)),
        (Postponed(10), None),
        (Released(), None),
        (Parked(NOTHING), None),
        (None, None),
    ],
)
def test_each_outcome_is_counted_as_what_it_is(outcome: Outcome | None, counted: tuple[int, int, int] | None) -> None:
    figures = Figures()

    figures.ended(job_of(), outcome, 0.1)

    assert [ended(counts) for counts in figures.take().values()] == ([] if counted is None else [counted])


@pytest.mark.parametrize("took_ms", [1, 40, 2_500, 600_000])
def test_how_long_it_waited_and_ran_is_told_within_the_stated_error(took_ms: int) -> None:
    figures = Figures()
    for number in range(1, 101):
        figures.ended(job_of(waited_ms=took_ms * number, delay_ms=5_000), DONE, took_ms * number / 1000 / 10)

    counts = figures.take()["work"]

    for share in (0.5, 0.95):
        exact_ms = took_ms * 100 * share
        assert quantile_ms(counts, WAITED, share) == pytest.approx(exact_ms, rel=RELATIVE_ERROR)
        assert quantile_ms(counts, RAN, share) == pytest.approx(exact_ms / 10, rel=RELATIVE_ERROR)


def test_a_later_try_is_not_counted_as_waiting_since_nobody_knows_when_it_was_due() -> None:
    figures = Figures()

    figures.ended(job_of(waited_ms=60_000, tries=2), DONE, 0.1)

    assert quantile_ms(figures.take()["work"], WAITED, 0.5) is None


def test_a_job_of_a_producer_whose_clock_is_ahead_has_waited_for_nothing() -> None:
    figures = Figures()

    figures.ended(job_of(waited_ms=-600_000), DONE, 0.1)

    waited_ms = quantile_ms(figures.take()["work"], WAITED, 1.0)
    assert waited_ms is not None
    assert waited_ms < 1


async def test_the_time_of_a_delayed_job_counts_from_when_it_was_due(settings: MakeSettings, redis: Redis) -> None:
    async def later(ctx: JobContext) -> None: ...

    handler, ours = make_job(later), settings()

    async with at_work(ours, handler) as site:
        await site.end_of((await site.app.enqueue_job(handler, delay_ms=1_500)).job_id)

    waited_ms = quantile_ms((await kept(ours))["later"], WAITED, 1.0)
    assert waited_ms is not None
    assert waited_ms < 1_400
