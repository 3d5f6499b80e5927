"""Unmasking: what was shown with masks and comes back edited keeps its secrets, and no secret goes anywhere else."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, SecretStr, TypeAdapter

from jobqueue.masking import MASK, PLAIN, Masker, masker_of
from jobqueue.unmasking import unmask


class Card(BaseModel):
    pin: SecretStr
    label: str


class Cards(BaseModel):
    cards: list[Card]


def edited_back(edited: Any, stored: Any, masker: Masker = PLAIN) -> Any:
    """What comes of an edit in which every mask stood for a secret."""
    result = unmask(edited, stored, masker, masker)
    assert (result.left, result.reveals) == ((), False)
    return result.value


secrets = st.sampled_from(["token", "apiKey", "name", "b"])
payloads: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(secrets, inner, max_size=4) | inner.map(json.dumps),
    max_leaves=20,
)


@given(payloads)
def test_what_comes_back_as_it_was_shown_is_what_was_stored(stored: Any) -> None:
    assert edited_back(PLAIN.payload(stored), stored) == stored


@given(payloads, payloads)
def test_an_edit_without_a_mask_is_taken_as_it_is(edited: Any, stored: Any) -> None:
    assert edited_back(edited, stored) == edited


def test_a_field_beside_a_secret_is_edited_and_the_secret_stays() -> None:
    stored = {"url": "https://a.example", "token": "s3cr3t", "deep": {"apiKey": {"id": 1, "key": "k"}}}
    edited = {"url": "https://b.example", "token": MASK, "deep": {"apiKey": MASK, "more": True}}
    assert edited_back(edited, stored) == {
        "url": "https://b.example",
        "token": "s3cr3t",
        "deep": {"apiKey": {"id": 1, "key": "k"}, "more": True},
    }


def test_a_secret_is_replaced_and_removed_by_saying_so() -> None:
    assert edited_back({"token": "new"}, {"token": "old", "password": "p"}) == {"token": "new"}
    assert edited_back({"token": None}, {"token": "old"}) == {"token": None}


@pytest.mark.parametrize(
    ("edited", "path"),
    [
        ({"note": MASK}, ("note",)),
        ({"password": MASK}, ("password",)),
        ({"empty": {"token": MASK}}, ("empty", "token")),
        ({"token": {"inner": MASK}}, ("token", "inner")),
        ({"items": [MASK]}, ("items", "0")),
        (MASK, ()),
    ],
)
def test_a_mask_that_stands_for_nothing_is_named_and_never_taken_for_a_value(
    edited: Any, path: tuple[str, ...]
) -> None:
    stored: dict[str, Any] = {"token": {"inner": "s3cr3t"}, "note": "seen", "password": None, "items": []}
    assert unmask(edited, stored, PLAIN, PLAIN).left == (path,)


def test_a_secret_cannot_be_moved_to_a_field_that_is_shown() -> None:
    result = unmask({"note": MASK, "token": MASK}, {"note": "seen", "token": "s3cr3t"}, PLAIN, PLAIN)
    assert result.value == {"note": MASK, "token": "s3cr3t"}
    assert result.left == (("note",),)


def test_secrets_of_the_payload_type_stay() -> None:
    masker = masker_of(TypeAdapter(Cards))
    stored = {"cards": [{"pin": "1234", "label": "gold"}]}
    edited = {"cards": [{"pin": MASK, "label": "silver"}]}
    assert edited_back(edited, stored, masker) == {"cards": [{"pin": "1234", "label": "silver"}]}


def test_a_payload_that_is_hidden_whole_comes_back_whole() -> None:
    assert edited_back(MASK, {"a": 1}, Masker(hides_all=True)) == {"a": 1}


# What would be revealed


class Pair(BaseModel):
    pair: tuple[Card, dict[str, str]]


def test_a_secret_that_another_type_would_show_is_told_of() -> None:
    masker = masker_of(TypeAdapter(Card))
    stored = {"pin": "1234", "label": "gold"}
    shown = masker.payload(stored)
    assert unmask(shown, stored, masker, masker_of(None)).reveals
    assert not unmask(shown, stored, masker, masker_of(TypeAdapter(Card))).reveals
    assert not unmask({"pin": "5678", "label": "gold"}, stored, masker, masker_of(None)).reveals


def test_an_item_that_changes_its_place_for_one_that_is_shown_is_told_of() -> None:
    """The items of a tuple have types of their own; turned round, the pin would be where nothing is hidden."""
    masker = masker_of(TypeAdapter(Pair))
    stored = {"pair": [{"pin": "1234", "label": "gold"}, {"pin": "none"}]}
    assert masker.payload(stored) == {"pair": [{"pin": MASK, "label": "gold"}, {"pin": "none"}]}
    turned_round = {"pair": [{"pin": "none"}, {"pin": MASK, "label": "gold"}]}
    assert unmask(turned_round, stored, masker, masker).reveals


def test_a_payload_that_was_hidden_whole_is_revealed_by_a_type_that_is_known() -> None:
    assert unmask(MASK, {"a": 1}, Masker(hides_all=True), PLAIN).reveals


def test_the_spelling_of_a_text_is_no_revelation() -> None:
    stored = {"body": json.dumps({"inner": json.dumps({"token": "s3cr3t"}), "n": 1})}
    inner = json.dumps(f'{{ "token" :"{MASK}" }}')
    edited = {"body": f'{{"n" :2,  "inner": {inner} }}'}
    body = json.loads(edited_back(edited, stored)["body"])
    assert body == {"inner": json.dumps({"token": "s3cr3t"}), "n": 2}


# Lists


ANN, BOB = {"id": "ann", "token": "a"}, {"id": "bob", "token": "b"}
ANN_SHOWN, BOB_SHOWN = {"id": "ann", "token": MASK}, {"id": "bob", "token": MASK}


@pytest.mark.parametrize(
    ("edited", "expected"),
    [
        ([BOB_SHOWN, ANN_SHOWN], [BOB, ANN]),
        ([BOB_SHOWN], [BOB]),
        ([ANN_SHOWN, {"id": "eve", "token": "e"}, BOB_SHOWN], [ANN, {"id": "eve", "token": "e"}, BOB]),
        ([ANN_SHOWN, {"id": "rob", "token": MASK}], [ANN, {"id": "rob", "token": "b"}]),
        ([ANN_SHOWN, ANN_SHOWN], [ANN, ANN]),
    ],
    ids=["turned round", "the first removed", "one put between", "one renamed", "one copied"],
)
def test_each_item_of_a_list_keeps_its_own_secret(edited: list[Any], expected: list[Any]) -> None:
    assert edited_back(edited, [ANN, BOB]) == expected


@pytest.mark.parametrize(
    ("edited", "path"),
    [
        ([{"id": "eve", "token": MASK}, ANN_SHOWN], ("0", "token")),
        ([ANN_SHOWN, BOB_SHOWN, {"id": "eve", "token": MASK}], ("2", "token")),
        ([{"id": "rob", "token": MASK}], ("0", "token")),
    ],
    ids=["its place was another's", "a new item", "renamed, and the other removed"],
)
def test_an_item_that_nobody_can_place_gets_no_secret(edited: list[Any], path: tuple[str, ...]) -> None:
    assert unmask(edited, [ANN, BOB], PLAIN, PLAIN).left == (path,)


def test_items_that_look_alike_keep_their_places_and_are_refused_where_one_was_removed() -> None:
    stored = [{"token": "a"}, {"token": "b"}]
    assert edited_back([{"token": MASK}, {"token": MASK}], stored) == stored
    assert unmask([{"token": MASK}], stored, PLAIN, PLAIN).left == (("0", "token"),)


# JSON inside a text


def test_a_secret_inside_a_text_stays_when_the_text_is_edited() -> None:
    stored = {"body": json.dumps({"password": "s3cr3t", "n": 1})}
    edited = {"body": json.dumps({"password": MASK, "n": 2})}
    assert json.loads(edited_back(edited, stored)["body"]) == {"password": "s3cr3t", "n": 2}


def test_a_text_that_was_not_edited_keeps_its_spelling() -> None:
    stored = {"body": '{ "password":"s3cr3t" }'}
    assert edited_back(PLAIN.payload(stored), stored) == stored


def test_a_mask_in_free_text_is_only_text() -> None:
    assert edited_back({"note": f"type {MASK} here", "half": '{"' + MASK}, {"note": "x"}) == {
        "note": f"type {MASK} here",
        "half": '{"' + MASK,
    }


def test_an_edit_that_nests_without_end_does_not_overflow_the_stack() -> None:
    value: Any = {"password": MASK}
    for _ in range(3):
        for _ in range(190):
            value = [value]
        value = json.dumps(value)
    assert unmask([value], None, PLAIN, PLAIN).value == [value]
