"""Admin routes of cron jobs, asked for what cannot be: refused before anything is saved, naming the field."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any, Final

import pytest

from tests.board.cron_support import CRON, NIGHTLY, CronBoard, cron_board
from tests.conftest import MakeSettings

HUGE: Final = int("9" * 4_000)
WRONG: Final[dict[str, list[Any]]] = {
    "name": ["", "   ", None, 5, True, [], {}, ["a"], "a\nb", "a\x00b", "x" * 201, "\u0085"],
    "jobId": ["", " ", "a:b", ":", None, 7, ["a"], "x" * 201, "a\r\nb"],
    "pattern": [
        *("", "x", "* * * *", "* * * * * * *", "60 * * * *", "* 24 * * *", "* * 0 * *", "*/0 * * * *", "5-1 * * * *"),
        *("0 0 30 2 *", "0 0 31 4,6,9,11 *", "@never", "* * * * MÄR", "1,\x00", "* " * 5_000, "x" * 10_000),
        *(None, 5, ["* * * * *"]),
    ],
    "timezone": [
        *("", "Mars/Olympus", "../../etc/passwd", "/etc/passwd", "\x00", "Europe/Berlin\n", "europe/", "Europe", "."),
        *("x" * 10_000, None, 1, []),
    ],
    "handler": ["nope", "", "heartbeat ", "HEARTBEAT", None, 5, [], {"name": "heartbeat"}],
    "priority": [-1, 2**21, "1", None, True, 1.5, [], HUGE, -HUGE],
    "enabled": ["true", 1, 0, None, [], ""],
    "maxAttempts": [0, -1, "3", None, True, 2.5, HUGE, []],
    "backoffMs": [-1, "5000", None, False, 0.5, HUGE, {}],
    "overlap": ["", "SKIP", "run_once", None, 5, ["skip"]],
    "misfire": ["", "skip ", "queue", None, True, {}],
    "description": [5, [], {}, True, "x" * 2_001, "a\x00b"],
    "payload": [{}, "text", 0, False, []],
}
READ_ONLY: Final = "id source createdBy createdAt updatedAt lastRunAt lastStatus lastJobId lastCompletedAt nextRunAt"
UNKNOWN: Final = [*READ_ONLY.split(), "max_attempts", "job_id", "cron", ""]
CASES: Final = [
    *((field, value) for field, values in WRONG.items() for value in values),
    *((field, "x") for field in UNKNOWN),
]


@pytest.fixture
async def tableless(settings: MakeSettings) -> AsyncIterator[CronBoard]:
    """A board whose database has no tables: whatever asks it is answered 503."""
    async with cron_board(settings(environment="local"), upgraded=False) as board:
        yield board


@pytest.fixture
async def board(settings: MakeSettings, database_url: str) -> AsyncIterator[CronBoard]:
    async with cron_board(settings(environment="local", database_url=database_url)) as board:
        yield board


@pytest.mark.parametrize(("field", "value"), CASES)
async def test_a_field_that_is_wrong_is_named_before_the_database_is_asked(
    tableless: CronBoard, field: str, value: object
) -> None:
    answer = await tableless.client.post(CRON, json=NIGHTLY | {"jobId": "nightly", field: value})
    assert (answer.status_code, answer.json()["error"]) == (400, "invalid")
    assert list(answer.json()["fieldErrors"]) == [field]
    assert field in answer.json()["message"]
    assert len(answer.text) < 2_000


async def test_what_is_wrong_in_a_change_is_named_and_nothing_is_changed(board: CronBoard) -> None:
    created = await board.created()
    for field, value in CASES:
        answer = await board.client.patch(f"{CRON}/{created['id']}", json={"maxAttempts": 9, field: value})
        assert (answer.status_code, list(answer.json()["fieldErrors"])) == (400, [field]), (field, value)
    assert await board.shown(created["id"]) == created


async def test_all_that_is_wrong_is_named_at_once(tableless: CronBoard) -> None:
    body = NIGHTLY | {"maxAttempts": 0, "timezone": "Mars", "overlap": "never", "jobId": "a:b"}
    answer = await tableless.client.post(CRON, json=body)
    assert answer.json()["fieldErrors"].keys() == {"maxAttempts", "timezone", "overlap", "jobId"}


@pytest.mark.parametrize("missing", ["name", "pattern", "handler"])
async def test_what_a_cron_job_cannot_be_without_is_named_where_it_is_missing(
    tableless: CronBoard, missing: str
) -> None:
    body = {name: value for name, value in NIGHTLY.items() if name != missing}
    answer = await tableless.client.post(CRON, json=body)
    assert (answer.status_code, list(answer.json()["fieldErrors"])) == (400, [missing])


@pytest.mark.parametrize(
    ("handler", "payload", "field"),
    [
        ("syncData", None, "payload"),
        ("syncData", {}, "payload.resource_id"),
        ("syncData", {"resource_id": "r", "due": "soon"}, "payload.due"),
        ("syncData", {"resource_id": ["r"]}, "payload.resource_id"),
        ("note", [], "payload"),
    ],
)
async def test_a_payload_that_its_handler_does_not_take_is_named_by_its_field(
    tableless: CronBoard, handler: str, payload: object, field: str
) -> None:
    answer = await tableless.client.post(CRON, json=NIGHTLY | {"handler": handler, "payload": payload})
    assert (answer.status_code, list(answer.json()["fieldErrors"])) == (400, [field])


async def test_a_payload_that_is_too_large_for_a_job_is_refused_as_one(settings: MakeSettings) -> None:
    made = settings(environment="local", jobs_max_payload_bytes=1_000)
    async with cron_board(made, upgraded=False) as board:
        body = NIGHTLY | {"handler": "note", "payload": {"a": "x" * 1_000}}
        answer = await board.client.post(CRON, json=body)
    assert (answer.status_code, list(answer.json()["fieldErrors"])) == (400, ["payload"])


async def test_markup_and_odd_letters_are_only_text(board: CronBoard) -> None:
    odd = "<script>alert(1)</script> \"'; DROP TABLE cron_job; -- ünïcode 🚀 {{7*7}} %s"
    created = await board.created(
        name=odd, jobId=f"{odd}!", description=odd + "\n\t", handler="note", payload={odd: odd}
    )
    shown = await board.client.get(f"{CRON}/{created['id']}")
    assert shown.json()["data"] == created
    assert created.items() >= {"name": odd, "jobId": f"{odd}!", "payload": {odd: odd}}.items()
    assert shown.headers["content-type"] == "application/json"
    assert shown.headers["x-content-type-options"] == "nosniff"


async def test_a_payload_keeps_what_no_column_of_a_database_can_hold(board: CronBoard) -> None:
    payload: dict[str, Any] = {"nul": "a\x00b", "big": 2**70, "deep": [[[[[{}]]]]], "float": 1e-320, "": None}
    created = await board.created(handler="note", payload=payload)
    assert created["payload"] == payload
    assert (await board.shown(created["id"]))["payload"] == payload
