"""Masking: secrets are found by type and by name, wherever they are."""

from __future__ import annotations

import json
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, SecretStr, TypeAdapter

from jobqueue.masking import MASK, is_secret_name, mask, masker_of, may_have_secret_names


@pytest.mark.parametrize(
    "name",
    [
        *("password", "userPassword", "PASSWD", "client_secret", "accessToken", "token"),
        *("apiKey", "api_key", "api-key", "API KEY", "X-Api-Key", "Authorization", "credentials"),
        *("privateKey", "PRIVATE_KEY", "private key", "ｐａｓｓｗｏｒｄ"),
    ],
)
def test_a_field_is_secret_in_any_spelling(name: str) -> None:
    assert is_secret_name(name)
    assert mask({name: "s3cr3t"}) == {name: MASK}


@pytest.mark.parametrize("name", ["name", "key", "pass", "author", "private", "primaryKey", ""])
def test_a_harmless_field_is_left_alone(name: str) -> None:
    assert mask({name: "seen"}) == {name: "seen"}


def test_secrets_are_masked_at_any_depth_in_lists_and_whatever_their_type() -> None:
    value = {"a": [{"b": {"token": {"deep": [1]}}}], "secret": 5, "password": None}
    assert mask(value) == {"a": [{"b": {"token": MASK}}], "secret": MASK, "password": None}


def test_json_inside_a_text_is_masked_and_otherwise_keeps_its_spelling() -> None:
    inner = json.dumps({"body": json.dumps({"password": "s3cr3t"})})
    masked = mask({"message": inner, "plain": '{ "a":1 }', "half": '{"a"'})
    assert "s3cr3t" not in masked["message"]
    assert masked["plain"] == '{ "a":1 }'
    assert masked["half"] == '{"a"'


def test_json_inside_a_text_inside_a_text_is_masked_at_any_depth() -> None:
    for depth in range(1, 8):
        text = json.dumps({"password": "s3cr3t"})
        for _ in range(depth):
            text = json.dumps(text)
        assert "s3cr3t" not in json.dumps(mask({"body": text}))
        assert "s3cr3t" not in masker_of(None).raw(text)
    for plain in ('"', '"a" and "b"', '"quoted"', '"{\\"name\\": 1}"'):
        assert mask({"body": plain}) == {"body": plain}


@pytest.mark.parametrize(
    "value",
    [
        {"pass_word": 1},
        {"to-ken": 1},
        {"\\token": 1},
        {"pass\nword": 1},
        {"pass\n\u0303word": 1},
        {"Ｐassword": 1},
        {"paßword": 1},
        {"to\u2028ken": 1},
        {"a": [{"api key": 1}]},
        {"text": '{"api\\tkey": 1}'},
        {"text": json.dumps('{"pass\\\\word": 1}')},
    ],
)
@pytest.mark.parametrize("is_ascii", [False, True])
def test_whatever_is_masked_by_name_may_have_secret_names_by_its_text(value: object, is_ascii: bool) -> None:
    assert mask(value) != value
    assert may_have_secret_names(json.dumps(value, ensure_ascii=is_ascii))


def test_a_text_without_secret_names_is_told_without_decoding_it() -> None:
    assert not may_have_secret_names('{"name": "Grüße", "key": "pass the word"}')


def test_a_text_that_nests_without_end_is_masked_instead_of_overflowing_the_stack() -> None:
    value: Any = {"password": "s3cr3t"}
    for _ in range(190):
        value = [value]
    for _ in range(3):
        text = json.dumps(value)
        value = text
        for _ in range(150):
            value = [value]
    assert "s3cr3t" not in json.dumps(mask(value))


class Card(BaseModel):
    pin: SecretStr
    label: str


class Order(BaseModel):
    cards: list[Card]
    by_name: dict[str, Card] = Field(alias="byName")
    chosen: Card | None = None
    children: list[Order] = []
    pair: tuple[str, SecretStr] | None = None


def test_secret_types_are_masked_wherever_the_payload_type_has_them() -> None:
    card = {"pin": "1234", "label": "gold"}
    shown = {"pin": MASK, "label": "gold"}
    payload = {"cards": [card], "byName": {"a": card}, "chosen": card, "pair": ["x", "1234"]}
    masked = masker_of(TypeAdapter(Order)).payload(payload | {"children": [payload]})
    expected = {"cards": [shown], "byName": {"a": shown}, "chosen": shown, "pair": ["x", MASK]}
    assert masked == expected | {"children": [expected]}


def test_a_secret_is_masked_under_its_name_and_under_its_alias() -> None:
    class Login(BaseModel):
        pin: Annotated[SecretStr, Field(validation_alias="pinIn", serialization_alias="pinOut")]

    payload = {"pin": "1", "pinIn": "2", "pinOut": "3", "other": "4"}
    assert masker_of(TypeAdapter(Login)).payload(payload) == {
        **dict.fromkeys(("pin", "pinIn", "pinOut"), MASK),
        "other": "4",
    }


def test_data_that_is_no_json_is_hidden_where_a_secret_may_be_in_it() -> None:
    assert masker_of(None).raw('{"name": "x') == '{"name": "x'
    assert masker_of(None).raw('{"api_key": "s3cr3t') == MASK
    assert masker_of(TypeAdapter(Card)).raw('{"pin": "1234') == MASK
    assert "1234" not in masker_of(TypeAdapter(Card)).raw('{"pin": "1234"}')
