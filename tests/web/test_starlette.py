"""A Starlette service that only enqueues."""

from __future__ import annotations

import pytest
from starlette.requests import Request

from jobqueue import App, JobqueueError, Resources, Settings, Worker
from jobqueue.asgi import jobs, lifespan
from tests.conftest import MakeSettings
from tests.web.conftest import Environment
from tests.web.serving import serving
from tests.web.small import create_service, greet, registry


async def test_a_service_makes_its_app_from_the_environment(environment: Environment) -> None:
    environment(jobs_registry="tests.web.small:registry")

    async with (
        serving(create_service()) as client,
        App(registry, Settings.load()) as elsewhere,
        Worker(elsewhere),
        elsewhere.subscribe(handler=greet) as outcomes,
    ):
        stored = await client.post("/greetings/ada")
        outcome = await anext(outcomes)

    assert stored.json() == {"jobId": outcome.job_id}
    assert outcome.result == "hello, ada"


async def test_a_route_finds_the_app_that_the_service_was_given(settings: MakeSettings) -> None:
    app = App(registry, settings())

    async with serving(create_service(app)) as client:
        stored = await client.post("/greetings/ada")
        cancelled = await client.delete(f"/greetings/{stored.json()['jobId']}")

    assert (cancelled.status_code, cancelled.json()) == (200, "cancelled")


async def test_a_service_without_our_lifespan_is_told_what_is_missing() -> None:
    request = Request({"type": "http", "state": {}})

    with pytest.raises(JobqueueError, match=r"give it `lifespan=jobqueue\.asgi\.lifespan\(\)`"):
        await jobs(request)


def test_resources_without_a_worker_are_refused() -> None:
    with pytest.raises(ValueError, match="add worker=True"):
        lifespan(resources=Resources())
