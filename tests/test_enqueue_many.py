"""Enqueueing many jobs at once: in batches, checked before the first is written."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue import App, InvalidOption, InvalidPayload, JobqueueError, PayloadTooLarge, UnknownHandler
from tests.conftest import MakeSettings
from tests.patterns.working import keys_of
from tests.support.mail import ADA, REGISTRY, send_mail, tidy
from tests.support.proxy import proxied


async def test_many_jobs_are_stored_in_order_with_the_same_options(settings: MakeSettings) -> None:
    async with App(REGISTRY, settings()) as app:
        results = await app.enqueue_jobs([(send_mail, ADA), ("tidy", None), ("sendMail", {"to": "bob"})], attempts=2)

        assert [(result.job_id, result.name) for result in results] == [
            ("1", "sendMail"),
            ("2", "tidy"),
            ("3", "sendMail"),
        ]
        assert [(await app.queue().job(result.job_id)).attempts for result in results] == [2, 2, 2]


async def test_no_jobs_are_no_error(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    async with App(REGISTRY, settings()) as app:
        assert len(await app.enqueue_jobs([])) == 0

    assert await keys_of(redis, prefix) == set()


async def test_2500_jobs_take_a_few_round_trips(settings: MakeSettings, redis_url: str) -> None:
    async with proxied(redis_url) as proxy, App(REGISTRY, settings(redis_url=proxy.url)) as app:
        await app.enqueue_job(tidy)  # connects, and Redis has the script
        before = proxy.turns

        results = await app.enqueue_jobs((tidy, None) for _ in range(2_500))

        assert len({result.job_id for result in results}) == 2_500
        # A batch is more than a socket takes at once, so Redis may begin to answer before all of it is sent.
        assert proxy.turns - before <= 12


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (("sendMail", {"from": "ada"}), InvalidPayload),
        (("sned", None), UnknownHandler),
        (("tidy", 5), InvalidPayload),
        (("sendMail", {"to": "x" * 1_000}), PayloadTooLarge),
    ],
)
async def test_one_bad_item_of_a_list_names_its_position_and_nothing_is_written(
    settings: MakeSettings, redis: Redis, prefix: str, bad: Any, error: type[Exception]
) -> None:
    items: list[Any] = [(tidy, None)] * 1_500 + [bad]

    async with App(REGISTRY, settings(jobs_max_payload_bytes=500)) as app:
        for many in (items, tuple(items)):
            with pytest.raises(error, match="1500"):
                await app.enqueue_jobs(many)

    assert await keys_of(redis, prefix) == set()


async def test_a_generator_is_taken_batch_by_batch(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    """It may be endless, so it is not read whole before the first is written."""
    seen: list[int] = []

    async with App(REGISTRY, settings()) as app:

        def jobs() -> Iterator[tuple[Any, None]]:
            for number in range(1_500):
                seen.append(number)
                yield (tidy, None)
            yield ("sned", None)

        with pytest.raises(UnknownHandler):
            await app.enqueue_jobs(jobs())

    assert await redis.llen(f"{prefix}:jobs:wait") == 1_000


@pytest.mark.parametrize(
    "item", [tidy, "tidy", ("tidy",), ("tidy", None, None), None, 5], ids=lambda item: f"{item!s:.9}"
)
async def test_an_item_that_is_no_pair_is_named_by_its_position(settings: MakeSettings, item: Any) -> None:
    async with App(REGISTRY, settings()) as app:
        with pytest.raises(JobqueueError, match="1"):
            await app.enqueue_jobs([(tidy, None), item])


@pytest.mark.parametrize("options", [{"delay_ms": -1}, {"retries": 3}, {"job_id": "one"}])
async def test_wrong_options_are_told_even_where_there_is_nothing_to_enqueue(
    settings: MakeSettings, options: dict[str, Any]
) -> None:
    async with App(REGISTRY, settings()) as app:
        with pytest.raises(InvalidOption, match=next(iter(options))):
            await app.enqueue_jobs([], **options)
