"""The envelope of a job's data: what we wrote comes back, and what others wrote binds nobody to what makes no sense."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobqueue import encoding, wire
from jobqueue.job import Envelope, Related, is_plain_text
from tests.support.json_values import FOREIGN, JSON, TEXT

NAMES = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=200)
WHOLE = st.integers(1, 2**53)
ENVELOPES = st.builds(
    Envelope,
    payload=JSON,
    type=st.sampled_from(["adhoc", "cron", "cronTrigger"]),
    id=st.none() | TEXT,
    dedupe_key=st.none() | TEXT,
    created_by=st.none() | TEXT,
    timeout_ms=st.none() | WHOLE,
    related=st.none() | st.builds(Related, NAMES, NAMES),
    order_key=st.none() | NAMES,
    expires_at_ms=st.none() | WHOLE,
    overlap=st.sampled_from([None, "skip", "queue"]),
    misfire=st.sampled_from([None, "skip"]),
)


@given(ENVELOPES)
@example(Envelope(None))
@example(Envelope(None, related=Related('"', "\\"), order_key=" ", expires_at_ms=2**53))
def test_an_envelope_comes_back_as_it_was(envelope: Envelope) -> None:
    written = wire.encode_data(encoding.encode_json(envelope.payload), envelope)

    read = wire.decode_data(written)
    assert read == envelope
    assert type(read.related) is type(envelope.related)
    assert wire.payload_json(written, read) == encoding.encode_json(envelope.payload)


def test_what_does_not_apply_is_not_in_the_envelope() -> None:
    assert wire.encode_data("null", Envelope(None)) == '{"type":"adhoc","payload":null}'


def test_a_full_envelope_is_that_of_the_documentation() -> None:
    full = Envelope(
        None,
        type="cron",
        id="row",
        dedupe_key="k",
        created_by="9",
        timeout_ms=5,
        related=Related("order", "7"),
        order_key="channel:42",
        expires_at_ms=1_900_000_000_000,
        overlap="queue",
        misfire="skip",
    )

    assert json.loads(wire.encode_data("[1]", full)) == {
        "type": "cron",
        "payload": [1],
        "id": "row",
        "dedupeKey": "k",
        "createdBy": "9",
        "timeoutMs": 5,
        "related": {"type": "order", "id": "7"},
        "orderKey": "channel:42",
        "expiresAt": 1_900_000_000_000,
        "overlap": "queue",
        "misfire": "skip",
    }


@pytest.mark.parametrize(
    "data",
    [
        *({}, [], None, 5, "text", {"type": "email", "payload": 1}, {"payload": 1}),
        *({"type": None}, {"type": ["adhoc"]}, {"type": {"adhoc": 1}}, {"type": True}, {"type": "ADHOC"}),
    ],
    ids=json.dumps,
)
def test_data_of_a_foreign_producer_is_the_payload_itself(data: Any) -> None:
    assert wire.decode_data(json.dumps(data)) == Envelope(payload=data)


@pytest.mark.parametrize("number", [0, -5, 1.5, "5", True, None, [], {}, 10**400])
def test_a_foreign_time_that_is_no_positive_number_is_none(number: Any) -> None:
    data = json.dumps({"type": "adhoc", "payload": 1, "timeoutMs": number, "expiresAt": number})

    assert wire.decode_data(data) == Envelope(1)


UNFIT_NAMES: list[Any] = ["", "x" * 402, "line\nbreak", "\x00", "\x85", 7, None, True, ["a"], {"type": "a"}]


@pytest.mark.parametrize("name", UNFIT_NAMES, ids=[f"{name!r:.20}" for name in UNFIT_NAMES])
def test_a_foreign_job_is_not_bound_by_what_could_not_have_been_asked_for(name: Any) -> None:
    """It runs unbound: a fault beside the payload is no reason to lose the job."""
    half = {"type": "order", "id": name}
    other_half = {"type": name, "id": "7"}

    for related in (half, other_half, name, {"type": "x" * 201, "id": "7"}, {"type": "order", "id": "x" * 201}):
        beside = {"orderKey": name, "related": related, "overlap": name, "misfire": name}
        data = json.dumps({"type": "adhoc", "payload": 1, **beside})
        assert wire.decode_data(data) == Envelope(1)


def test_an_order_key_that_was_made_of_a_related_object_is_read_however_long_its_names_are() -> None:
    """It was taken for malformed: the job held its key, and whoever cancelled it did not know of one to give back."""
    related = Related("t" * 200, "i" * 200)
    envelope = Envelope(1, related=related, order_key=":".join(related))

    assert wire.decode_data(wire.encode_data("1", envelope)) == envelope


@pytest.mark.parametrize("text", ["x" * 200, " ", "channel:42", "{a}", "ünïcode", "🐘" * 200])
def test_any_short_text_without_control_characters_is_plain(text: str) -> None:
    assert is_plain_text(text, 200)


@given(FOREIGN)
def test_data_is_read_or_refused_with_a_value_error(text: str) -> None:
    try:
        envelope = wire.decode_data(text)
    except ValueError:
        return
    assert isinstance(envelope, Envelope)
