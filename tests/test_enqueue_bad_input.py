"""Bad input to enqueueing: a typed error that names the field, and nothing is written."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict
from redis.asyncio import Redis

from jobqueue import (
    App,
    EnqueueError,
    InvalidOption,
    InvalidPayload,
    PayloadTooLarge,
    Registry,
    UnknownHandler,
    make_job,
    make_singleton_job,
    make_superseding_job,
)
from jobqueue.context import JobContext
from jobqueue.policy import limit
from tests.conftest import MakeSettings
from tests.patterns.working import keys_of
from tests.support.naming import plainly

WEST = timezone(timedelta(hours=-5))
EAST = timezone(timedelta(hours=5))
NAIVE = datetime(2030, 1, 1, tzinfo=UTC).replace(tzinfo=None)


class Address(BaseModel):
    street: str
    number: int


class Parcel(BaseModel):
    to: Address
    items: list[Address] = []


class Unprintable:
    def __repr__(self) -> str:
        raise RuntimeError("no repr")


def lane_of(parcel: Any) -> Any:
    """A lane function with the faults that a user's may have, chosen by the payload."""
    lanes: dict[str, Any] = {
        "none": None,
        "number": 5,
        "empty": "",
        "long": "x" * 1_001,
        "10 KB": "x" * 10_240,
        "surrogate": "\ud800",
        "newline": "a\nb",
        "braces": "{a}",
        "control": "\x00",
    }
    if parcel == "raises":
        raise KeyError("street")
    return lanes.get(parcel, parcel)


@make_job(name="send")
async def send(ctx: JobContext, payload: Parcel) -> None: ...


@make_job(name="tidy")
async def tidy(ctx: JobContext) -> None: ...


class Weight(BaseModel):
    model_config = ConfigDict(ser_json_inf_nan="constants")  # asks for what JSON does not have

    grams: float


@make_job
async def weigh(ctx: JobContext, payload: Weight) -> None: ...


@make_job(name="any")
async def take_any(ctx: JobContext, payload: object) -> None: ...


@make_superseding_job(name="lane", dedupe_key=lane_of)
async def in_lane(ctx: JobContext, payload: str) -> None: ...


@make_singleton_job(name="locked", key=lane_of)
async def locked(ctx: JobContext, payload: str) -> None: ...


@make_job(name="limited", concurrency=limit(2, by=lane_of))
async def limited(ctx: JobContext, payload: str) -> None: ...


REGISTRY = Registry([send, tidy, take_any, weigh, in_lane, locked, limited])


async def refused(
    settings: MakeSettings, redis: Redis, prefix: str, handler: Any, payload: Any, options: dict[str, Any]
) -> EnqueueError:
    """The error that enqueueing this raised, after a look that nothing was written."""
    async with App(REGISTRY, settings(jobs_max_payload_bytes=1_000)) as app:
        with pytest.raises(EnqueueError) as raised:
            await app.enqueue_job(handler, payload, **options)
    assert await keys_of(redis, prefix) == set()
    return raised.value


BAD_VALUES: dict[str, list[Any]] = {
    "delay_ms": [-1, 1.5, "5", True, float("nan"), 10**15, [], timedelta(seconds=1)],
    "priority": [-1, 2_097_152, 1.0, "high", True],
    "attempts": [0, -3, 2.5, "3", False, 10**9],
    "timeout_ms": [0, -1, 0.5, "1s", True, 10**15],
    "backoff": [-1, 1.5, "exponential", True, {"type": "fixed"}, len],
    "job_id": [
        *("", "a:b", ":", "1", "0", "-5", "007", "9" * 40, 5, b"id", "x" * 256),
        *("line\nbreak", "\x00", "\x7f", "lone \ud800", "٣", True),
        *("wait", "active", "completed", "meta", "events", "repeat", "id", "pc", "job"),
        *("stalled", "stalled-check", "marker", "limiter", "waiting-children"),
    ],
    "run_at": [
        *(NAIVE, "2030-01-01", 1_893_456_000, []),
        *(datetime.max.replace(tzinfo=UTC), datetime.max.replace(tzinfo=WEST)),
    ],
    "queue": ["", "a:b", "line\nbreak", "x" * 201, 5, "lone \ud800", "{a}", True],
    "retries": [3],
    "delayMs": [5],
    "order_key": ["", "x" * 201, "line\nbreak", "\x00", "\x85", "lone \ud800", 5, True, b"k", ["k"], ("a", "b")],
    "related": [
        *("", "order:7", 5, True, [], ["order", "7"], {"type": "order", "id": "7"}, (), ("order",), ("a", "b", "c")),
        *(("order", 7), (None, "7"), ("", "7"), ("order", ""), ("x" * 201, "7"), ("order", "x" * 201)),
        *(("line\nbreak", "7"), ("order", "\x00"), ("order", "\ud800")),
    ],
    "created_by": ["", "x" * 256, "line\nbreak", "lone \ud800", 5, True, ["me"]],
    "expires_in_ms": [0, -1, 1.5, "5", True, 10**15, timedelta(seconds=1)],
    "bypass_outbox": [1, "yes"],
    "session": [5, "sqlite://"],
    "": [1],
}
BAD_OPTIONS = [(name, value) for name, values in BAD_VALUES.items() for value in values]


@pytest.mark.parametrize(("option", "value"), BAD_OPTIONS, ids=[f"{name}={value!r:.30}" for name, value in BAD_OPTIONS])
async def test_an_option_out_of_range_is_named_and_nothing_is_written(
    settings: MakeSettings, redis: Redis, prefix: str, option: str, value: Any
) -> None:
    error = await refused(settings, redis, prefix, tidy, None, {option: value})

    assert isinstance(error, InvalidOption)
    assert error.field == option
    assert str(error).startswith(f"{option}: ")


async def test_a_run_at_before_all_time_is_now_or_refused_by_name(settings: MakeSettings) -> None:
    async with App(REGISTRY, settings()) as app:
        told: list[str] = []
        with contextlib.suppress(InvalidOption):
            told.append((await app.enqueue_job(tidy, run_at=datetime.min.replace(tzinfo=EAST))).job_id)
    assert told in ([], ["1"])


async def test_delay_and_run_at_together_are_refused(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    both = {"delay_ms": 0, "run_at": datetime(2030, 1, 1, tzinfo=UTC)}

    error = await refused(settings, redis, prefix, tidy, None, both)

    assert getattr(error, "field", None) == "run_at"


BAD_PAYLOADS: list[tuple[Any, Any, str]] = [
    (send, None, "payload"),
    (send, {}, "payload.to"),
    (send, {"to": {"street": "s"}}, "payload.to.number"),
    (send, {"to": {"street": "s", "number": 1}, "items": [{"street": 5, "number": 1}]}, "payload.items.0.street"),
    (send, {"to": {"street": "\ud800", "number": 1}}, "payload"),
    (send, "text", "payload"),
    (tidy, {}, "payload"),
    (tidy, 0, "payload"),
    (take_any, float("nan"), "payload"),
    (take_any, {"deep": [float("inf")]}, "payload"),
    (weigh, {"grams": float("nan")}, "payload"),
    (weigh, {"grams": float("-inf")}, "payload"),
    (take_any, object(), "payload"),
    (take_any, {1, Unprintable}, "payload"),
    (take_any, b"\xff\xfe", "payload"),
    (take_any, lambda: None, "payload"),
    (tidy, Unprintable(), "payload"),
    (in_lane, "raises", "payload"),
    (in_lane, "none", "payload"),
    (in_lane, "number", "payload"),
    (in_lane, "empty", "payload"),
    (in_lane, "long", "payload"),
    (in_lane, "surrogate", "payload"),
    *((in_lane, fault, "payload") for fault in ("10 KB", "newline", "braces", "control")),
    (locked, "braces", "payload"),
    (limited, "newline", "payload"),
    (limited, "none", "payload"),
]


@pytest.mark.parametrize(
    ("handler", "payload", "field"),
    BAD_PAYLOADS,
    ids=[f"{h.name}-{number}" for number, (h, *_) in enumerate(BAD_PAYLOADS)],
)
async def test_a_payload_that_does_not_validate_names_its_field(
    settings: MakeSettings, redis: Redis, prefix: str, handler: Any, payload: Any, field: str
) -> None:
    for given in (handler, handler.name):
        error = await refused(settings, redis, prefix, given, payload, {})

        assert isinstance(error, InvalidPayload)
        assert error.field.startswith(field)
        assert handler.name in str(error)


async def test_every_wrong_field_is_told_at_once(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    error = await refused(settings, redis, prefix, send, {"to": {"street": 5}, "items": 5}, {})

    assert isinstance(error, InvalidPayload)
    assert set(error.field_errors) == {"payload.to.street", "payload.to.number", "payload.items"}
    assert all(field in str(error) for field in error.field_errors)


async def test_a_payload_in_a_circle_is_refused(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    circle: list[Any] = []
    circle.append(circle)

    assert isinstance(await refused(settings, redis, prefix, take_any, circle, {}), InvalidPayload)


@pytest.mark.parametrize("depth", [250, 1_000, 100_000])
async def test_a_payload_that_is_too_deep_is_refused(
    settings: MakeSettings, redis: Redis, prefix: str, depth: int
) -> None:
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]

    error = await refused(settings, redis, prefix, take_any, deep, {})

    assert isinstance(error, (InvalidPayload, PayloadTooLarge))


async def test_a_payload_is_measured_in_bytes_as_it_travels(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    """998 letters and two quotes are 1,000 bytes; a letter that takes two bytes is one too many."""
    error = await refused(settings, redis, prefix, take_any, "x" * 997 + "ü", {})

    assert isinstance(error, PayloadTooLarge)
    assert "1001 bytes, the limit is 1000" in str(error)

    async with App(REGISTRY, settings(jobs_max_payload_bytes=1_000)) as app:
        assert (await app.enqueue_job(take_any, "x" * 998)).created


@pytest.mark.parametrize("name", ["sned", "", "Send", " send", "send ", "a:b", "\ud800", "__class__"])
async def test_an_unknown_name_is_answered_with_the_known_ones(
    settings: MakeSettings, redis: Redis, prefix: str, name: str
) -> None:
    error = await refused(settings, redis, prefix, name, None, {})

    assert isinstance(error, UnknownHandler)
    assert error.field == "handler"
    assert "send, tidy" in str(error)


@pytest.mark.parametrize(
    "handler", [None, 5, send.function, send.payload, {}, ["send"], b"send", Path("send")], ids=plainly
)
async def test_what_is_no_handler_is_refused_as_one(
    settings: MakeSettings, redis: Redis, prefix: str, handler: Any
) -> None:
    """The likely slip is the function without its wrapper."""
    error = await refused(settings, redis, prefix, handler, None, {})

    assert getattr(error, "field", None) == "handler"
