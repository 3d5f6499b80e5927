"""The tests of somebody's service, as he would write them: copied into a project of their own, and run there."""

import httpx
import pytest
from fastapi import FastAPI

from jobqueue import Enqueued, Registry, enqueue_job
from jobqueue.testing import Drained, EnqueuedJob, Jobs
from tests.testing.shop import Order, place_order, registry_without_cron, send_mail

service = FastAPI()


@service.post("/orders/{order_id}")
async def place(order_id: str) -> str:
    enqueued: Enqueued = await enqueue_job(place_order, Order(orderId=order_id))
    return enqueued.job_id


@pytest.fixture
def jobqueue_registry() -> Registry:
    return registry_without_cron


@pytest.fixture
def jobqueue_settings() -> dict[str, object]:
    return {"jobs_queue": "shop"}


@pytest.fixture
def client() -> httpx.AsyncClient:
    return httpx.AsyncClient(transport=httpx.ASGITransport(service), base_url="http://shop")


async def test_an_order_sends_a_mail(jobs: Jobs, client: httpx.AsyncClient) -> None:
    answer = await client.post("/orders/7")

    placed: EnqueuedJob = await jobs.assert_enqueued(place_order, {"orderId": "7"}, queue="shop")
    assert placed.job_id == answer.json()
    drained: Drained = await jobs.drain()
    assert len(drained.of(send_mail).completed) == 2
    jobs.clock.move(minutes=5)
    assert len((await jobs.drain()).completed) == 1


async def test_each_test_begins_with_an_empty_queue(jobs: Jobs) -> None:
    assert await jobs.enqueued() == ()
    await enqueue_job(send_mail, Order(orderId="lost"))
    with pytest.raises(LookupError, match="no order lost"):
        await jobs.drain()


async def test_that_fails(jobs: Jobs) -> None:
    await enqueue_job(send_mail, Order(orderId="7"))
    await jobs.assert_enqueued(send_mail, Order(orderId="8"))


async def test_that_leaves_a_job_running(jobs: Jobs) -> None:
    await enqueue_job("hang")
    await jobs.drain(timeout_s=0.3)
