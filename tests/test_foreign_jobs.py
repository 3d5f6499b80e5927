"""Jobs of other producers: whatever they wrote, each job ends once and the worker goes on."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jobqueue import JobContext, make_job
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, working
from tests.support.eventually import eventually
from tests.support.foreign import add_foreign, has_ended


@make_job(name="echo")
async def echo(ctx: JobContext, payload: object) -> object:
    return payload


@make_job(name="fail")
async def fail(ctx: JobContext, payload: object) -> None:
    raise RuntimeError("no route")


ODD_OPTIONS: list[dict[str, Any]] = [
    {},
    {"attempts": 0},
    {"attempts": "3"},
    {"attempts": 2**60},
    {"attempts": 2.5},
    {"attempts": 2, "backoff": {"type": "mine"}},
    {"attempts": 2, "backoff": {"type": ["fixed"], "delay": "soon"}},
    {"attempts": 2, "backoff": -5},
    {"attempts": 2, "backoff": {"type": "fixed", "delay": -1, "jitter": 7}},
    {"removeOnComplete": "soon", "removeOnFail": "later"},
    {"removeOnComplete": [], "removeOnFail": {}},
    {"removeOnComplete": {"count": "x"}, "removeOnFail": {"age": "x"}},
    {"removeOnComplete": {"count": 2**62}, "removeOnFail": {"age": 2**62}},
    {"removeOnComplete": -1, "removeOnFail": 1.5},
    {"kl": "many", "priority": "high", "delay": "x"},
]


@pytest.mark.parametrize("options", ODD_OPTIONS, ids=str)
async def test_odd_options_keep_no_job_from_ending(settings: MakeSettings, options: dict[str, Any]) -> None:
    async with working(settings(), echo, fail) as app:
        done = await add_foreign(app, "echo", "{}", {"removeOnComplete": False} | options)
        failed = await add_foreign(app, "fail", "{}", {"backoff": 0, "removeOnFail": False} | options | {"attempts": 1})

        await eventually(lambda: has_ended(app, done), deadline_s=5)
        await eventually(lambda: has_ended(app, failed), deadline_s=5)
        assert await (await app.enqueue_job(echo, "next")).wait(WAIT_S) == "next"


ODD_DATA = [
    *("{}", "[]", "null", "5", '"text"', '{"type":["adhoc"]}', '{"type":{}}', '{"type":"adhoc"}'),
    *('{"type":"cron","payload":1,"timeoutMs":true}', '{"type":"adhoc","dedupeKey":5,"createdBy":[]}'),
    json.dumps({"\u0000": "\u2028"}),
]


@pytest.mark.parametrize("data", ODD_DATA)
async def test_data_in_any_form_of_json_reaches_the_handler(settings: MakeSettings, data: str) -> None:
    async with working(settings(), echo) as app:
        job_id = await add_foreign(app, "echo", data, {})
        await eventually(lambda: has_ended(app, job_id), deadline_s=5)

        assert (await app.queue().job(job_id)).failed_reason is None


@pytest.mark.parametrize("data", ["", "{", "NaN", "1e999", "[" * 300 + "]" * 300, "\x00", "9" * 5_000])
async def test_data_that_is_no_json_is_set_aside_as_failed_or_taken_and_the_worker_goes_on(
    settings: MakeSettings, data: str
) -> None:
    async with working(settings(), echo) as app:
        job_id = await add_foreign(app, "echo", data, {})

        await eventually(lambda: has_ended(app, job_id), deadline_s=5)
        assert await (await app.enqueue_job(echo, "next")).wait(WAIT_S) == "next"
