"""Schema forms: from a payload's type to fields, and from what was typed to a payload. Nothing is asked over HTTP."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field as PydanticField
from pydantic import TypeAdapter, create_model

from board.pages.handlers.fields import AS_JSON
from board.pages.handlers.form_values import placed, read_payload, typed_of
from board.pages.handlers.schema_form import MAX_FIELDS, field_of
from board.schemas import shown_schema
from jobqueue.masking import MASK
from tests.board.form_support import GOOD, SENT, Odd, Parcel, Tree, form_of, named

PARCEL = form_of(Parcel)


# From a type to fields


@pytest.mark.parametrize(
    ("name", "kind", "required", "nullable"),
    [
        ("payload.customer", "text", True, False),
        ("payload.pieces", "whole", True, False),
        ("payload.weight_kg", "number", False, True),
        ("payload.price", "text", False, True),
        ("payload.size", "choice", False, False),
        ("payload.speed", "choice", False, True),
        ("payload.is_gift", "yes or no", True, False),
        ("payload.is_fragile", "yes or no", False, True),
        ("payload.address", "group", True, False),
        ("payload.address.floor", "whole", False, True),
        ("payload.back_to", "group", False, True),
        ("payload.labels", "json", False, False),
        ("payload.notes", "json", False, True),
        ("payload.pet", "json", False, True),
        ("payload.pin", "text", False, True),
        ("payload.nothing", "whole", True, True),
    ],
)
def test_each_type_has_its_kind_of_field(name: str, kind: str, required: bool, nullable: bool) -> None:
    field = named(PARCEL, name)
    assert (field.kind, field.is_required, field.is_nullable) == (kind, required, nullable)


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("payload.customer", "1 to 20 characters."),
        ("payload.pieces", "A whole number, at least 1, less than 100."),
        ("payload.size", 'Left out, it is "small".'),
        ("payload.sent_at", "A time: 2030-01-31T12:00:00Z."),
        ("payload.labels", 'JSON: a list of strings, at most 3 items; left out, it is ["new"].'),
        ("payload.pet", "JSON: Cat or Dog."),
    ],
)
def test_a_field_says_what_may_be_typed_and_what_holds_without(name: str, hint: str) -> None:
    assert named(PARCEL, name).hint == hint


def test_a_choice_offers_its_values_as_they_are() -> None:
    speed = named(PARCEL, "payload.speed")
    assert [(choice.text, choice.value) for choice in speed.choices] == [("slow", "slow"), ("fast", "fast"), ("3", 3)]


def test_values_that_look_alike_are_no_choice() -> None:
    assert form_of(Literal["1", 1]).kind == "json"


def test_a_secret_is_hidden_while_it_is_typed_and_its_default_is_not_told() -> None:
    assert named(PARCEL, "payload.pin").is_secret
    key = named(PARCEL, "payload.api_key")
    assert key.is_secret
    assert "sesame" not in key.hint


def test_a_schema_is_shown_without_the_defaults_of_its_secrets() -> None:
    shown = json.dumps(shown_schema(TypeAdapter(Parcel).json_schema()))
    assert "sesame" not in shown
    assert '"new"' in shown


def test_a_schema_hides_the_values_below_a_secret_name_at_any_depth() -> None:
    secret = {"anyOf": [{"const": "sesame"}, {"enum": ["sesame"], "examples": ["sesame"]}], "default": "sesame"}
    schema = {"$defs": {"Inner": {"properties": {"api-key": secret}}}, "properties": {"token": secret}}
    assert "sesame" not in json.dumps(shown_schema(schema))
    assert shown_schema({"properties": {"a": {"enum": ["b"]}}}) == {"properties": {"a": {"enum": ["b"]}}}


def test_a_type_in_itself_ends_in_json() -> None:
    tree = form_of(Tree)
    assert [(one.name, one.kind) for one in tree.walk()] == [
        ("payload", "group"),
        ("payload.name", "text"),
        ("payload.left", "json"),
        ("payload.children", "json"),
    ]


def test_a_type_with_very_many_fields_is_json_as_a_whole() -> None:
    fields: dict[str, Any] = {f"field_{number}": (int, ...) for number in range(500)}
    assert form_of(create_model("Wide", **fields)) == AS_JSON
    assert MAX_FIELDS < 500


def test_types_in_types_are_json_below_some_depth() -> None:
    inner: Any = int
    for level in range(30):
        inner = create_model(f"Level{level}", deeper=(inner, ...))
    deepest = max(form_of(inner).walk(), key=lambda one: len(one.path))
    assert (len(deepest.path), deepest.kind) == (4, "json")


def test_a_wide_and_deep_type_is_not_walked_to_its_end() -> None:
    inner: Any = int
    for level in range(4):
        fields: dict[str, Any] = {f"field_{number}": (inner, ...) for number in range(100)}
        inner = create_model(f"Wide{level}", **fields)
    assert form_of(inner) == AS_JSON


@pytest.mark.parametrize(
    "schema",
    [
        {},
        {"type": ["string", "null"]},
        {"$ref": "#/$defs/Gone"},
        {"$ref": "#/$defs/A", "$defs": {"A": {"$ref": "#/$defs/B"}, "B": {"$ref": "#/$defs/A"}}},
        {"$ref": "https://evil.example/schema"},
        {"properties": {"a": True, "b": None}, "required": "a"},
        {"anyOf": []},
        {"anyOf": [True, {"type": "null"}]},
        {"enum": []},
        {"enum": "abc"},
        {"type": "object", "properties": []},
        {"title": 7, "description": ["x"], "type": "string", "pattern": 5},
    ],
)
def test_a_schema_that_is_odd_makes_a_form_all_the_same(schema: dict[str, Any]) -> None:
    for field in field_of(schema).walk():
        assert field.name.startswith("payload")


def test_keys_that_mean_something_elsewhere_have_names_of_their_own() -> None:
    names = [field.name for field in form_of(Odd).fields]
    assert len(set(names)) == len(names)
    assert {"payload.a%2Eb", "payload.", "payload.__proto__"} < set(names)
    assert all(not set(name) & set("<>\"'[] &#?/") for name in names)


# From what was typed to a payload


def test_what_was_typed_becomes_the_payload_and_what_was_not_is_left_out() -> None:
    assert read_payload(PARCEL, GOOD).payload == SENT


def test_types_are_read_from_text() -> None:
    typed = {
        **GOOD,
        "payload.weight_kg": " 2.5e1 ",
        "payload.price": "10.10",
        "payload.speed": "3",
        "payload.is_fragile": "false",
        "payload.labels": '["a", "b"]',
        "payload.address.floor": "-2",
        "payload.back_to.street": "x",
        "payload.nothing": "0",
    }
    read = read_payload(PARCEL, typed)
    assert read.faults == {}
    assert read.payload == {
        **SENT,
        "weight_kg": 25.0,
        "price": "10.10",
        "speed": 3,
        "is_fragile": False,
        "labels": ["a", "b"],
        "address": {"street": "High Street 1", "floor": -2},
        "back_to": {"street": "x"},
        "nothing": 0,
    }


@pytest.mark.parametrize(
    ("name", "text"),
    [
        *(("payload.pieces", text) for text in ("x", "1.5", "0x1", "１", "1_000", "--1", "9" * 5000, "NaN")),
        *(("payload.weight_kg", text) for text in ("x", "1e999", "inf", "nan", "1,5", "0" * 9000 + ".1", "1e99999")),
        *(("payload.is_gift", text) for text in ("yes", "1", "True")),
        *(("payload.size", text) for text in ("medium", "SMALL", "small ")),
        *(("payload.labels", text) for text in ("[", "a", "NaN", "[1e999]", "[" * 5000)),
    ],
)
def test_text_that_is_not_of_the_type_is_a_fault_of_its_field(name: str, text: str) -> None:
    read = read_payload(PARCEL, {**GOOD, name: text})
    assert list(read.faults) == [name]
    assert len(read.faults[name]) < 300


def test_an_optional_group_without_anything_in_it_is_left_out_and_a_required_one_is_empty() -> None:
    read = read_payload(PARCEL, {})
    assert read.payload == {"address": {}, "nothing": None}


# From a payload to what would be typed, and back


def test_a_payload_comes_back_as_it_was() -> None:
    stored = {**SENT, "labels": ["x"], "pin": MASK, "weight_kg": None, "back_to": {"street": "a\nb", "floor": 3}}
    typed = typed_of(PARCEL, stored)
    assert typed is not None
    assert typed["payload.pin"] == MASK
    assert read_payload(PARCEL, typed).payload == {name: one for name, one in stored.items() if name != "weight_kg"}


def test_a_masked_number_stays_masked() -> None:
    form = form_of(create_model("Tokens", token_count=(int, ...)))
    typed = typed_of(form, {"token_count": MASK})
    assert typed is not None
    assert typed == {"payload.token_count": MASK}
    assert read_payload(form, typed).payload == {"token_count": MASK}


@pytest.mark.parametrize(
    "payload",
    [
        {**SENT, "unknown": 1},
        {**SENT, "pieces": "2"},
        {**SENT, "pieces": True},
        {**SENT, "is_gift": 1},
        {**SENT, "customer": ""},
        {**SENT, "customer": "a\rb"},
        {**SENT, "customer": None},
        {**SENT, "size": "medium"},
        {**SENT, "back_to": {}},
        {**SENT, "address": MASK},
        {**SENT, "api_key": None},
        [],
        None,
        "text",
        7,
    ],
)
def test_a_payload_that_fields_cannot_say_is_left_to_json(payload: object) -> None:
    assert typed_of(PARCEL, payload) is None


JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**60), 2**60)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
TEXTS = st.text(alphabet=st.characters(codec="utf-8")) | st.sampled_from(["", MASK, "\n", "a\nb", " ", "1", "true"])
VALUES = JSON | TEXTS | st.sampled_from(["small", 3, True, {"street": "x"}, {"street": "x", "floor": None}])
KEYS = sorted(Parcel.model_fields)


@given(st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=len(KEYS)))
def test_no_payload_is_changed_by_going_through_the_form(payload: Mapping[str, object]) -> None:
    typed = typed_of(PARCEL, payload)
    if typed is None:
        return
    read = read_payload(PARCEL, typed)
    left_out = {name: value for name, value in payload.items() if name not in read.payload}
    assert read.faults == {}
    assert all(value is None for value in left_out.values())
    for name, value in read.payload.items():
        assert name in payload or (name in ("nothing", "address"))
        if name not in ("address", "back_to") and name in payload:
            assert json.dumps(value) == json.dumps(payload[name])


@given(st.dictionaries(st.sampled_from([one.name for one in PARCEL.walk()]), TEXTS | st.text(max_size=20)))
def test_whatever_is_typed_is_read_or_refused_and_never_breaks(typed: Mapping[str, str]) -> None:
    read = read_payload(PARCEL, typed)
    assert json.loads(json.dumps(read.payload)) == read.payload
    assert read.faults.keys() <= typed.keys()


# Faults


def test_a_fault_is_placed_beside_its_field_or_the_nearest_one_above() -> None:
    faults = {
        "payload.address.street": "Field required",
        "payload.labels.1": "Input should be a valid string",
        "payload.pet.cat.kind": "no",
        "payload": "something is wrong with all of it",
    }
    assert placed(faults, PARCEL) == {
        "payload.address.street": "Field required",
        "payload.labels": "1: Input should be a valid string",
        "payload.pet": "cat.kind: no",
        "payload": "something is wrong with all of it",
    }


def test_a_fault_of_an_odd_key_finds_its_field() -> None:
    assert placed({"payload.a.b": "no", "payload.": "none"}, form_of(Odd)) == {
        "payload.a%2Eb": "no",
        "payload.": "none",
    }


def test_a_default_that_nobody_can_tell_is_not_taken_for_null() -> None:
    form = form_of(create_model("Made", at=(int | None, PydanticField(default_factory=lambda: 5))))
    assert typed_of(form, {"at": None}) is None
    assert typed_of(form, {"at": 5}) == {"payload.at": "5"}
