"""OpenAPI: the document of the admin routes is whole, says what they do, and they do what it says."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from board import create_app
from jobqueue.app import App
from tests.board.fuzz_api import fuzz
from tests.board.support import client_of

DOCUMENT = "/api/openapi.json"
METHODS = {"get", "post", "patch", "delete"}


@pytest.fixture
async def document(client: httpx.AsyncClient) -> dict[str, Any]:
    answer = await client.get(DOCUMENT)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    shown: dict[str, Any] = answer.json()
    return shown


def operations_of(document: dict[str, Any]) -> dict[tuple[str, str], dict[str, Any]]:
    return {
        (method.upper(), path): operation
        for path, of_path in document["paths"].items()
        for method, operation in of_path.items()
        if method in METHODS
    }


def routes_of_programs(routes: list[BaseRoute]) -> set[tuple[str, str]]:
    """What the app routes, but for the pages and what is below them."""
    return {
        (method, route.path)
        for route in routes
        if isinstance(route, Route) and route.path != "/" and not route.path.startswith("/bullBoard")
        for method in (route.methods or set()) - {"HEAD"}
    }


async def test_every_route_for_programs_is_in_the_document_and_nothing_else(app: App, document: dict[str, Any]) -> None:
    assert operations_of(document).keys() == routes_of_programs(list(create_app(app).routes))


async def test_every_operation_has_a_summary_and_an_id_of_its_own(document: dict[str, Any]) -> None:
    operations = operations_of(document).values()
    assert all(operation["summary"] for operation in operations)
    assert len({operation["operationId"] for operation in operations}) == len(operations)


async def test_every_parameter_of_a_path_is_described(document: dict[str, Any]) -> None:
    for (_, path), operation in operations_of(document).items():
        described = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
        assert described == re.findall(r"\{(\w+)\}", path)


async def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    references = set(re.findall(r"'\$ref': '#/([^']+)'", str(document)))
    assert references
    for reference in references:
        place: Any = document
        for name in reference.split("/"):
            place = place[name]
        assert place is not None


async def test_problems_share_one_schema_and_every_answer_has_a_request_id(document: dict[str, Any]) -> None:
    responses = document["components"]["responses"]
    for operation in operations_of(document).values():
        for status, response in operation["responses"].items():
            whole = responses[status] if "$ref" in response else response
            assert "X-Request-Id" in whole["headers"]
            if int(status) >= 400:
                schema = whole["content"]["application/json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/ProblemShown"}


async def test_what_is_open_to_anyone_is_health_and_nothing_else(document: dict[str, Any]) -> None:
    is_open = [path for (_, path), operation in operations_of(document).items() if not operation["security"]]
    assert is_open == ["/healthz", "/readyz"]
    assert document["components"]["securitySchemes"].keys() == {"basic", "bearer"}


async def test_an_example_of_each_body_is_a_body(client: httpx.AsyncClient, document: dict[str, Any]) -> None:
    schemas = document["components"]["schemas"]
    example = schemas["Enqueue"]["examples"][0]
    assert (await client.post("/api/admin/job", json=example)).status_code == 201
    bodies = ("Enqueue", "Reason", "NewCronJob", "CronJobChanges", "Clean", "Drain", "Bulk")
    assert all(schemas[name]["examples"] for name in bodies)


async def test_the_document_names_the_handlers_that_there_are(document: dict[str, Any]) -> None:
    schema = document["components"]["schemas"]["Enqueue"]
    assert schema["properties"]["handler"]["enum"] == ["syncData", "note", "heartbeat"]
    assert schema["required"] == ["handler"]


async def test_the_document_knows_where_it_is_mounted(app: App, document: dict[str, Any]) -> None:
    async with client_of(Starlette(routes=[Mount("/ops", create_app(app))])) as client:
        mounted = (await client.get(f"/ops{DOCUMENT}")).json()
    assert (document["servers"], mounted["servers"]) == ([{"url": "/"}], [{"url": "/ops"}])
    assert mounted["paths"].keys() == document["paths"].keys()


@pytest.mark.timeout(180)
async def test_no_answer_is_a_5xx_or_outside_of_the_document() -> None:
    """The short form of scripts/fuzz-api: the same requests each time."""
    assert await fuzz(seconds=None, seed=1) == 0


async def test_an_empty_name_of_a_queue_is_allowed_by_the_document_as_it_is_by_the_routes(
    app: App, client: httpx.AsyncClient, document: dict[str, Any]
) -> None:
    """It counts as left out; the document refused it, so that 200 was an answer to what could not be asked."""
    job = await app.enqueue_job("heartbeat", delay_ms=60_000)
    promote = operations_of(document)["POST", "/api/admin/job/{jobId}/promote"]
    (queue,) = (one for one in promote["parameters"] if one["name"] == "queue")

    answer = await client.post(f"/api/admin/job/{job.job_id}/promote?queue=")

    assert answer.status_code == 200
    assert re.fullmatch(queue["schema"]["pattern"], "")
    assert not re.fullmatch(queue["schema"]["pattern"], "a:b")
