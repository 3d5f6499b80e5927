"""The wire: our words into BullMQ's and back, total over whatever a foreign producer may have written."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum
from typing import Any
from uuid import UUID

import msgpack
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import BaseModel, Field, SecretStr, TypeAdapter

from jobqueue import encoding, packing, wire
from jobqueue.errors import MalformedJob
from jobqueue.job import Backoff, Envelope, Job, Keep, exponential, fixed
from jobqueue.policy import Policy
from tests.support.json_values import FOREIGN, JSON
from tests.support.naming import plainly

JOB_FIELDS = [
    *("name", "data", "opts", "timestamp", "delay", "priority", "atm", "ats", "stc", "rjk", "defa", "processedOn"),
    *("finishedOn", "pb", "parentKey", "progress", "returnvalue", "failedReason", "stacktrace"),
]


# JSON


@given(JSON)
def test_any_json_value_comes_back_as_it_was(value: Any) -> None:
    assert encoding.decode_json(encoding.encode_json(value)) == value


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("inf"),
        -float("inf"),
        {"deep": [float("nan")]},
        "\ud800",
        {"\ud800": 1},
        object(),
        {(1, 2): 3},
    ],
    ids=plainly,
)
def test_what_is_no_json_is_refused(value: Any) -> None:
    with pytest.raises(ValueError, match=r"."):
        encoding.encode_json(value)


def test_a_cycle_is_refused() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)

    with pytest.raises(ValueError, match=r"."):
        encoding.encode_json(cycle)


def nested(depth: int) -> list[Any]:
    """A list in a list in a list …, `depth` deep."""
    value: list[Any] = []
    for _ in range(depth - 1):
        value = [value]
    return value


@pytest.mark.parametrize("depth", [50, 150, 190, 200, 210, 250, 900, 100_000])
def test_what_is_written_can_be_read_however_deep(depth: int) -> None:
    """The writer must not go deeper than the reader can, or a job is stored that no worker can ever run."""
    value = nested(depth)
    try:
        data = wire.encode_data(encoding.encode_payload(TypeAdapter(object), value, has_secrets=False), Envelope(None))
    except ValueError:
        return
    assert wire.decode_data(data).payload == value


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int


class Sent(BaseModel):
    sent_at: datetime = Field(alias="sentAt")


def test_common_types_are_written_as_json() -> None:
    value = {
        "at": datetime(2026, 1, 2, tzinfo=UTC),
        "on": date(2026, 1, 2),
        "id": UUID(int=1),
        "price": Decimal("1.10"),
        "colour": Colour.RED,
        "points": (Point(1),),
        "model": Sent(sentAt=datetime(2026, 1, 2, tzinfo=UTC)),
    }

    assert encoding.decode_json(encoding.encode_json(value)) == {
        "at": "2026-01-02T00:00:00Z",
        "on": "2026-01-02",
        "id": "00000000-0000-0000-0000-000000000001",
        "price": "1.10",
        "colour": "red",
        "points": [{"x": 1}],
        "model": {"sentAt": "2026-01-02T00:00:00Z"},
    }


def test_a_secret_travels_in_clear() -> None:
    adapter = TypeAdapter(list[SecretStr])

    assert encoding.encode_payload(adapter, [SecretStr("hunter2")], has_secrets=True) == '["hunter2"]'


# Jobs


@given(st.dictionaries(st.sampled_from(JOB_FIELDS), FOREIGN))
@example({"name": "send", "data": '{"type":[]}'})
@example({"name": "send", "timestamp": "1e999"})
@example({"name": "send", "delay": "-inf"})
@example({"name": "send", "opts": "[]"})
@example({"name": "send", "data": "\udcff"})
def test_a_job_is_read_or_refused_as_malformed(fields: Mapping[str, str]) -> None:
    """A job that raised anything else would be claimed, lost, and claimed again for ever."""
    try:
        job = wire.decode_job("jobs", "1", fields)
    except MalformedJob:
        return
    assert isinstance(job, Job)
    assert job.attempts >= 1
    assert isinstance(job.slot_ms, int)


@pytest.mark.parametrize("name", ["data", "opts", "timestamp", "delay", "priority", "atm", "ats", "stc"])
def test_a_field_that_cannot_be_read_is_named(name: str) -> None:
    with pytest.raises(MalformedJob, match=f"'{name}'"):
        wire.decode_job("jobs", "1", {"name": "send", name: "{nonsense"})


@pytest.mark.parametrize("fields", [{}, {"name": ""}, {"data": "{}"}])
def test_a_job_without_a_name_is_malformed(fields: Mapping[str, str]) -> None:
    with pytest.raises(MalformedJob, match="'name'"):
        wire.decode_job("jobs", "1", fields)


def test_only_what_claiming_writes_is_a_ghost() -> None:
    assert wire.is_ghost({"processedOn": "1", "ats": "1", "pb": "w"})
    assert not wire.is_ghost({"processedOn": "1", "name": "send"})


@pytest.mark.parametrize(("text", "value"), [(None, None), ("null", None), ("[1]", [1]), ("bare text", "bare text")])
def test_a_foreign_result_may_be_bare_text(text: str | None, value: Any) -> None:
    assert encoding.decode_result(text) == value


# Options


def handlers_own(attempt: int, error: BaseException) -> int:
    return 7


@given(st.dictionaries(st.sampled_from(["backoff", "attempts"]), JSON), st.sampled_from([None, Policy()]))
@example({"backoff": {"type": "fixed", "delay": 10**400}}, None)
@example({"backoff": {"type": "fixed", "jitter": 10**400}}, None)
@example({"backoff": {"type": ["fixed"]}}, Policy())
@example({"backoff": {"type": "fixed", "delay": float("inf")}}, None)
@example({"backoff": float("inf")}, None)
@example({"backoff": 1_576_800_000_001.0}, None)
def test_every_stored_backoff_can_be_read(options: Mapping[str, Any], policy: Policy | None) -> None:
    backoff = wire.decode_backoff(options, policy)

    assert backoff is None or isinstance(backoff, Backoff)


@pytest.mark.parametrize(
    ("stored", "backoff"),
    [
        (None, None),
        (250, fixed(250)),
        ({"type": "fixed", "delay": 5}, fixed(5)),
        ({"type": "exponential", "delay": 5, "jitter": 0.5}, exponential(5, jitter=0.5)),
        ({"type": "exponential", "delay": 5, "jitter": 9}, exponential(5, jitter=1.0)),
        ({"type": "mine"}, handlers_own),
        ({"type": "exponential", "delay": 5_000, "function": True}, handlers_own),
    ],
)
def test_a_stored_backoff_means_what_node_means(stored: Any, backoff: Any) -> None:
    assert wire.decode_backoff({"backoff": stored}, Policy(backoff=handlers_own)) == backoff


@given(JSON)
@example("soon")
@example([])
@example({"count": "x"})
@example({"count": 10**30})
@example({"age": -1})
@example(float("inf"))
def test_every_stored_retention_can_be_read_and_sent(option: Any) -> None:
    """An option that raised here would keep the job from ever finishing."""
    keep = wire.decode_keep(option, Keep(age_s=1, count=2))

    assert all(isinstance(keep.get(name, 0), int) for name in ("count", "age"))
    assert msgpack.unpackb(packing.pack(keep)) == keep


@pytest.mark.parametrize(
    ("option", "keep"),
    [
        (None, {"count": 2, "age": 1}),
        (True, {"count": 0}),
        (False, {"count": -1}),
        (5, {"count": 5}),
        ({"age": 60}, {"age": 60}),
    ],
)
def test_a_stored_retention_means_what_node_means(option: Any, keep: Mapping[str, int]) -> None:
    assert wire.decode_keep(option, Keep(age_s=1, count=2)) == keep


def test_a_new_job_carries_its_options_beside_the_policys() -> None:
    job = wire.NewJob("jobs", "send", "{}", "mail-1", 1_000, 5, 3, packing.pack_entries({"attempts": 2}))

    arguments, data, options = wire.pack_new_job("bull:jobs:", job)

    assert msgpack.unpackb(arguments) == ["bull:jobs:", "mail-1", "send", 1_000, None, None, None, None, None]
    assert data == "{}"
    assert msgpack.unpackb(options) == {"attempts": 2, "delay": 5, "priority": 3, "jobId": "mail-1"}
