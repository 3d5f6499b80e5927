"""The words of a page: numbers, times and names as a person reads them."""

from __future__ import annotations

import pytest

from board.render import brief, compact, iso, moment, number, shown, since, span


@pytest.mark.parametrize(
    ("value", "words"),
    [(0, "0"), (999, "999"), (1_000, "1k"), (1_240, "1.2k"), (34_999, "34k"), (5_600_000, "5.6M"), (2 * 10**9, "2G")],
)
def test_a_number_in_few_characters(value: int, words: str) -> None:
    assert compact(value) == words


def test_a_large_number_has_its_thousands_apart() -> None:
    assert number(1_234_567) == "1,234,567"


@pytest.mark.parametrize(("at_ms", "words"), [(0, "5 min"), (299_000, "1.0 s"), (400_000, "0 ms")])
def test_how_long_ago_is_never_negative(at_ms: int, words: str) -> None:
    assert since(at_ms, 300_000) == words


def test_a_time_is_exact_for_people_and_for_programs() -> None:
    assert (moment(1_800_000_000_000), iso(1_800_000_000_000)) == ("2027-01-15 08:00:00", "2027-01-15T08:00:00Z")
    assert (moment(10**30), iso(10**30)) == (str(10**30), "")


@pytest.mark.parametrize(
    ("name", "seen"),
    [
        ("plain", "plain"),
        ("invoice\u202efdp.exe", "invoice\\u202efdp.exe"),
        ("a\x00b\x1b[31m", "a\\u0000b\\u001b[31m"),
        ("no\u200bwidth\ufeff", "no\\u200bwidth\\ufeff"),
        ("half\ud800", "half\\ud800"),
        ("عربى 漢字 é 👩‍👧", "عربى 漢字 é 👩‍👧"),
        ("two\nlines\tand a tab", "two\nlines\tand a tab"),
    ],
)
def test_what_cannot_be_seen_in_a_name_is_spelled_out(name: str, seen: str) -> None:
    assert shown(name) == seen


def test_a_long_name_is_cut_before_it_is_spelled_out() -> None:
    assert shown("x" * 300) == "x" * 199 + "…"
    assert shown("xyz", 2) == "x…"


def test_json_on_one_line_is_cut_too() -> None:
    assert len(brief({"text": "x" * 10_000})) == 120
    assert brief({"a": "\u202e"}) == '{"a": "\\u202e"}'


@pytest.mark.parametrize(
    ("duration_ms", "words"), [(340, "340 ms"), (1_500, "1.5 s"), (12_000, "12 s"), (90_000, "1 min")]
)
def test_a_duration_in_the_largest_unit_that_fits(duration_ms: int, words: str) -> None:
    assert span(duration_ms) == words
