"""A secret in a payload is in the job's data and nowhere else: neither worker nor board nor command tells it."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from typing import Any, Final

import pytest

from board import create_app
from jobqueue import App, Settings
from jobqueue.registry import load_registry
from jobqueue.wire import pairs
from tests.board.route_list import listed
from tests.board.support import client_of
from tests.cli.terminal import Terminal
from tests.conftest import MakeSettings
from tests.security.canary import CANARY
from tests.support.eventually import eventually

BY_TYPE: Final = f"{CANARY}-by-type"
BY_NAME: Final = f"{CANARY}-by-name"
PAYLOAD: Final = {"user": "ada", "pin": BY_TYPE, "api_key": BY_NAME}
JOBS: Final = ("in the worker", "in a process", "not valid", "again")
SOMEBODY: Final = "/bullBoard/queues/jobs/jobs"


READING: Final[Mapping[str, tuple[str, ...]]] = {
    "hash": ("HGETALL",),
    "string": ("GET",),
    "list": ("LRANGE", "0", "-1"),
    "set": ("SMEMBERS",),
    "zset": ("ZRANGE", "0", "-1"),
    "stream": ("XRANGE", "-", "+"),
}


async def everything_in_redis(app: App) -> Mapping[str, str]:
    """Each key of the prefix with all that it holds, but for the data of jobs."""
    keys: list[str] = await app.client.call("KEYS", f"{app.settings.jobs_prefix}:*")
    found: dict[str, str] = {}
    for key in keys:
        word, *rest = READING[await app.client.call("TYPE", key)]
        held = await app.client.call(word, key, *rest)
        found[key] = repr(
            {name: value for name, value in pairs(held).items() if name != "data"} if word == "HGETALL" else held
        )
    return found


@pytest.fixture
def service(terminal: Terminal, settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings with which this process finds the service, too."""
    monkeypatch.syspath_prepend(str(terminal.folder))
    return settings(environment="local", jobs_registry="service:registry")


@pytest.fixture
async def app(service: Settings) -> AsyncIterator[App]:
    async with App(load_registry(service.jobs_registry), service) as app:
        yield app


async def run_all(app: App, terminal: Terminal) -> str:
    """Every job, until it has failed; what the worker said."""
    with terminal.running("worker") as worker:
        await app.enqueue_job("login", PAYLOAD, job_id=JOBS[0])
        await app.enqueue_job("apart", PAYLOAD, job_id=JOBS[1])
        data = json.dumps({"type": "adhoc", "payload": {"pin": BY_TYPE, "api_key": BY_NAME}})
        await app.enqueue_job("login", PAYLOAD, job_id=JOBS[2], delay_ms=200)
        await app.client.call("HSET", app.queue().keys.job(JOBS[2]), "data", data)

        async def have_failed() -> bool:
            failed: int = await app.client.call("ZCARD", app.queue().keys.of("failed"))
            return failed == 3

        await eventually(have_failed, 30)
        worker.press_ctrl_c()
        worker.wait()
        return worker.said()


async def test_a_secret_of_a_payload_is_told_nowhere(app: App, terminal: Terminal) -> None:
    # given jobs that failed in every way
    said = await run_all(app, terminal)
    told: dict[str, Any] = {"the worker's log": said}

    # when they are looked at, and acted on
    async with client_of(create_app(app)) as person:
        for job_id in JOBS[:3]:
            form = (await person.get(f"{SOMEBODY}/{job_id}/again")).text
            told[f"the form of {job_id}"] = form
        stored = await person.post("/api/admin/job", json={"handler": "login", "payload": {"pin": BY_TYPE}})
        told["a refusal"] = stored.text
        options = {"jobId": JOBS[3], "delayMs": 3_600_000}
        stored = await person.post("/api/admin/job", json={"handler": "login", "payload": PAYLOAD, "options": options})
        told["an answer"] = stored.text
        for word in ("retry-failed", "promote-delayed", "pause", "drain"):
            told[word] = (await person.post(f"/api/admin/queue/jobs/{word}", json={})).text
        for route in listed(create_app(app)):
            if route.method == "GET" and not route.path.endswith("/live"):
                told[route.path] = (await person.get(route.address)).text
        for job_id in JOBS:
            told[f"page of {job_id}"] = (await person.get(f"{SOMEBODY}/{job_id}")).text
            told[f"JSON of {job_id}"] = (await person.get(f"/api/admin/job/{job_id}")).text
        searched = await person.get("/api/admin/job", params={"q": CANARY})
    refused = ("enqueue", "login", json.dumps({"pin": BY_TYPE}))
    for words in (("jobs", "show", JOBS[0]), ("jobs", "show", JOBS[1], "--json"), ("doctor", "--json"), refused):
        done = terminal.run(*words)
        told[f"{words[0]} {words[-1] == JOBS[0]}"] = done.stdout + done.stderr
    told |= await everything_in_redis(app)

    # then
    assert [where for where, text in told.items() if CANARY in text] == []
    assert searched.json()["data"] == []
    assert told["the worker's log"].count("payload.user: Field required") >= 2
    assert b"in a process" not in (terminal.folder / "words").read_bytes()
    assert CANARY.encode() not in (terminal.folder / "words").read_bytes()
