"""A FastAPI service with a worker inside, asked by a client over HTTP."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator

import httpx
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from jobqueue import App, Settings, close_default_app, enqueue_job
from jobqueue.cli.environment import MIGRATIONS
from jobqueue.inspector import Inspector
from jobqueue.upgrades import upgrade
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer
from tests.web.conftest import Environment
from tests.web.serving import serving
from tests.web.shop import Base, create_service, registry


@pytest.fixture
async def shop(environment: Environment) -> AsyncIterator[httpx.AsyncClient]:
    variables = environment(environment="local", redis_call_ms=1_000)
    await upgrade(variables["DATABASE_URL"], MIGRATIONS)
    engine = create_async_engine(variables["DATABASE_URL"])
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)
    await engine.dispose()
    async with serving(create_service()) as client:
        yield client


async def state_of(job_id: str) -> str:
    async with App(registry, Settings.load()) as app:
        return (await Inspector(app).job("jobs", job_id)).state


async def test_a_route_waits_for_a_job_whose_handler_has_what_the_service_opened(shop: httpx.AsyncClient) -> None:
    answer = await shop.post("/sums", json={"items": ["book", "pen", "pen"]})

    assert (answer.status_code, answer.json()) == (200, 18)


async def test_a_job_is_there_once_the_transaction_of_its_request_has_committed(shop: httpx.AsyncClient) -> None:
    placed = await shop.post("/orders", params={"email": "ada@example.com"})

    assert placed.status_code == 201

    async def has_run() -> bool:
        answer = await shop.get("/ops/api/admin/job", params={"state": "completed", "name": "confirmOrder"})
        return [job["jobId"] for job in answer.json()["data"]] == [placed.json()]

    await eventually(has_run)


async def test_a_request_that_is_rolled_back_leaves_no_job(shop: httpx.AsyncClient) -> None:
    refused = await shop.post("/orders", params={"email": "nobody"})
    committed = await shop.post("/orders", params={"email": "ada@example.com"})

    assert refused.status_code == 409

    async def names() -> list[str]:
        answer = await shop.get("/ops/api/admin/job", params={"name": "confirmOrder"})
        return [job["jobId"] for job in answer.json()["data"]]

    assert await eventually(names) == [committed.json()]  # rows go in order, so the one before it would be there


async def test_a_route_cancels_what_another_one_began(shop: httpx.AsyncClient) -> None:
    begun = await shop.post("/packings")
    job_id = begun.json()
    await eventually(lambda: _is(job_id, "active"))

    cancelled = await shop.delete(f"/packings/{job_id}")

    assert (begun.status_code, cancelled.status_code, cancelled.json()) == (202, 202, "cancelling")
    await eventually(lambda: _is(job_id, "failed"))


async def _is(job_id: str, state: str) -> bool:
    return await state_of(job_id) == state


async def test_errors_of_the_library_are_answers(shop: httpx.AsyncClient) -> None:
    bad = await shop.post("/jobs/sumUp", json={"items": 5}, headers={"x-request-id": "r-1"})
    unknown = await shop.post("/jobs/nothing", json={})
    option = await shop.post("/jobs/sumUp", json={"items": []}, params={"tag": "17"})
    large = await shop.post("/jobs/sumUp", json={"items": ["x" * 1_100_000]})
    missing = await shop.delete("/packings/999")
    ended = await shop.delete(f"/packings/{await _ended_job(shop)}")

    assert bad.status_code == 400
    assert bad.json() == {
        "error": "invalid",
        "message": "payload of 'sumUp' is not valid: payload.items: Input should be a valid array",
        "fieldErrors": {"payload.items": "Input should be a valid array"},
        "requestId": "r-1",
    }
    assert (unknown.status_code, [*unknown.json()["fieldErrors"]]) == (400, ["handler"])
    assert (option.status_code, [*option.json()["fieldErrors"]]) == (400, ["job_id"])
    assert (large.status_code, large.json()["error"]) == (413, "too_large")
    assert (missing.status_code, missing.json()["error"]) == (404, "not_found")
    assert (ended.status_code, ended.json()["error"]) == (409, "job_is_completed")


async def _ended_job(shop: httpx.AsyncClient) -> str:
    stored = await shop.post("/jobs/sumUp", json={"items": []}, params={"tag": "an-empty-basket"})
    await eventually(lambda: _is(stored.json(), "completed"))
    job_id: str = stored.json()
    return job_id


async def test_the_module_level_functions_use_the_app_of_the_service(shop: httpx.AsyncClient) -> None:
    stored = await enqueue_job("sumUp", {"items": ["pen"]})

    assert await stored.wait(10) == 3


async def test_the_board_is_below_the_service(shop: httpx.AsyncClient) -> None:
    page = await shop.get("/ops/bullBoard", follow_redirects=True)

    assert page.status_code == 200
    assert "/ops/bullBoard/" in page.text


async def test_a_service_starts_while_redis_is_away_and_answers_503_until_it_is_there(
    environment: Environment, own_redis: RedisServer
) -> None:
    environment(redis_url=own_redis.url, redis_call_ms=500)
    own_redis.stop()

    async with serving(create_service()) as shop:
        begun_s = time.monotonic()
        away = await shop.post("/sums", json={"items": ["pen"]})
        took_s = time.monotonic() - begun_s
        own_redis.start()

        async def answers() -> bool:
            return (await shop.post("/sums", json={"items": ["pen"]})).text == "3"

        await eventually(answers)

    assert (away.status_code, away.json()["error"]) == (503, "unavailable")
    assert str(own_redis.port) not in away.text, "a stranger is told no address"
    assert took_s < 5


async def test_a_service_that_ends_leaves_no_default_app(environment: Environment) -> None:
    """What it closed would refuse every later call."""
    environment(jobs_registry="tests.web.shop:registry")
    async with serving(create_service()):
        pass

    stored = await enqueue_job("sumUp", {"items": ["pen"]})

    assert stored.created
    await close_default_app()
