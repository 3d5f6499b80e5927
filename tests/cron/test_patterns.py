"""Patterns: the next times, over changes of the clocks too, and what is refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from jobqueue.cron import next_run, next_runs
from jobqueue.errors import InvalidOption
from tests.cron import node_cron
from tests.cron.node_cron import Question

DOCUMENT = Path(__file__).parents[2] / "docs" / "cron-patterns.md"
START_MS = 1_790_000_000_000
LATEST_MS = int(datetime(9000, 1, 1, tzinfo=UTC).timestamp()) * 1000


def ms(text: str) -> int:
    return int(datetime.fromisoformat(text).timestamp() * 1000)


def tables() -> list[tuple[Question, tuple[int, ...]]]:
    """The tables of the document: what is asked from a little before the first line, and the times that it shows."""
    shown = re.findall(
        r"^(\w+/\w+), `(.+?)`\..+?\n\n\| on the wall \| UTC \|\n.*\n((?:\|.*\n)+)",
        DOCUMENT.read_text(encoding="utf-8"),
        re.MULTILINE,
    )
    found: list[tuple[Question, tuple[int, ...]]] = []
    for zone, pattern, rows in shown:
        times = tuple(map(ms, re.findall(r"(\S+Z) \|", rows)))
        found.append((Question(pattern, zone, times[0] - 60_000, len(times)), times))
    return found


# Over changes of the clocks


@pytest.mark.parametrize(("question", "documented"), tables(), ids=lambda value: getattr(value, "pattern", "times"))
async def test_the_times_that_the_document_shows_are_ours_and_nodes(
    question: Question, documented: tuple[int, ...]
) -> None:
    [nodes] = await node_cron.next_times([question])

    assert next_runs(question.pattern, question.zone, question.after_ms, question.count) == documented
    assert nodes.times == documented


def test_the_document_shows_the_two_changes_of_2026() -> None:
    shown = {(question.pattern, question.zone) for question, _ in tables()}

    assert {("30 1 * * *", "America/New_York"), ("0 9 * * 1-5", "America/New_York")} <= shown


def test_a_nightly_job_keeps_its_hour_after_the_night_in_which_it_comes_twice() -> None:
    """croniter told 02:30 for the night after, since it added a day and then an hour for the change."""
    first_half_past_one = ms("2026-11-01T01:30:00-04:00")

    assert next_run("30 1 * * *", "America/New_York", first_half_past_one) == ms("2026-11-02T01:30:00-05:00")


def test_a_job_of_each_half_hour_misses_none_while_the_clocks_go_back() -> None:
    """croniter left out the hour that comes for the second time."""
    times = next_runs("*/30 * * * *", "America/New_York", ms("2026-11-01T01:30:00-04:00"), 3)

    assert times == tuple(map(ms, ("2026-11-01T06:00:00Z", "2026-11-01T06:30:00Z", "2026-11-01T07:00:00Z")))


@pytest.mark.parametrize(("before", "nodes_answer"), [("01:10", ()), ("01:15", ("01:10",))])
async def test_a_job_runs_on_where_the_clocks_go_back_by_half_an_hour(
    before: str, nodes_answer: tuple[str, ...]
) -> None:
    """cron-parser adds an hour, goes back to the full one, and is where it was. It gives up, or answers with a time
    that is past, and then BullMQ made one job after the other until the hour was over.
    """
    before_ms = ms(f"2026-04-05T{before}+11:00")
    [nodes] = await node_cron.next_times([Question("10 * * * *", "Australia/Lord_Howe", before_ms, 1)])

    assert nodes.times == tuple(ms(f"2026-04-05T{time}+11:00") for time in nodes_answer)
    assert next_run("10 * * * *", "Australia/Lord_Howe", before_ms) == ms("2026-04-05T02:10:00+10:30")


def test_each_next_time_is_reckoned_after_the_one_before() -> None:
    times = next_runs("*/20 0-3 * * *", "Europe/Berlin", ms("2027-03-27T22:00:00Z"), 20)

    assert [next_run("*/20 0-3 * * *", "Europe/Berlin", time) for time in times[:-1]] == [*times[1:]]
    assert sorted(set(times)) == [*times]


# What is written


@pytest.mark.parametrize(
    ("pattern", "same"),
    [
        ("@daily", "0 0 * * *"),
        ("@weekdays", "0 0 0 * * 1-5"),
        (" 0\t9  *\u00a0* mon-FRI\n", "0 9 * * 1-5"),
        ("0 9 ? * 7", "0 9 * * SUN"),
        ("0 9 * jan,JUL 5-7", "0 9 * 1,7 0,5,6"),
        ("5/20 * * * *", "5,25,45 * * * *"),
    ],
)
def test_there_are_several_ways_to_write_a_pattern(pattern: str, same: str) -> None:
    assert next_runs(pattern, "UTC", START_MS, 10) == next_runs(same, "UTC", START_MS, 10)


def test_where_both_day_fields_say_something_a_day_of_either_is_taken() -> None:
    times = next_runs("0 0 13 * 5", "UTC", ms("2026-03-05T12:00:00Z"), 5)

    assert [*map(_day, times)] == [6, 13, 20, 27, 3]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [("0 0 L * *", [31, 28, 31]), ("0 0 * * 5L", [30, 27, 27]), ("0 0 * * FRI#3", [16, 20, 20])],
)
def test_days_may_be_named_by_their_place_in_the_month(pattern: str, expected: list[int]) -> None:
    times = next_runs(pattern, "UTC", ms("2026-01-01T00:00:00Z"), 3)

    assert [*map(_day, times)] == expected


def _day(time_ms: int) -> int:
    return datetime.fromtimestamp(time_ms / 1000, UTC).day


# What is refused


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("", "is empty"),
        ("  ", "is empty"),
        ("9 * *", "has 3 fields"),
        ("* * * * * * *", "has 7 fields"),
        ("@midnight", "'@midnight' is not known: use one of @yearly"),
        ("* * * * *" + " " * 10_000, "has 10009 characters"),
        ("60 * * * *", "the minute field cannot be '60': it takes from 0 to 59"),
        ("60 * * * * *", "the second field cannot be '60'"),
        ("0 24 * * *", "the hour field cannot be '24'"),
        ("0 0 0 * *", "the day of month field cannot be '0'"),
        ("0 0 * MON *", "the month field cannot be 'MON': it takes from 1 to 12 or from JAN to DEC"),
        ("0 0 * * 8", "the day of week field cannot be '8'"),
        ("0 0 * * FRI-SUN", "the day of week field cannot be 'FRI-SUN': the Sunday that ends a range is 7"),
        ("0 0 * * 1#6", "the day of week field cannot be '1#6'"),
        ("1-5,3 * * * *", "the minute field cannot be '1-5,3': 3 is taken twice"),
        ("*/0 * * * *", "the minute field cannot be '*/0'"),
        ("5-1 * * * *", "the minute field cannot be '5-1'"),
        ("1,,2 * * * *", "the minute field cannot be ''"),
        ("H * * * *", "H is drawn anew"),
        ("\0 * * * *", "the minute field cannot be '\\x00'"),
        ("\u0665 * * * *", "the minute field cannot be '\u0665'"),
        ("0 0 30 2 *", "never fires"),
        ("0 0 31 2,4,6 *", "never fires"),
    ],
)
def test_a_wrong_pattern_is_refused_with_the_field_and_its_value(pattern: str, said: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        next_run(pattern, "UTC", START_MS)

    assert refused.value.field == "pattern"
    assert said in refused.value.problem


@pytest.mark.parametrize(
    "zone", ["", "Mars/Olympus", "\0", "../UTC", "PST", "local", "Factory", "UTC+24", "x" * 10_000, "America"]
)
def test_a_zone_that_is_not_known_is_refused(zone: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        next_run("* * * * *", zone, START_MS)

    assert refused.value.field == "timezone"


@pytest.mark.parametrize("zone", ["europe/BERLIN", "utc", "GMT", "UTC+5:30", "utc-2", "Etc/GMT-14", "EST5EDT"])
async def test_a_zone_may_be_written_as_node_takes_it(zone: str) -> None:
    [nodes] = await node_cron.next_times([Question("15 9 * * *", zone, START_MS, 2)])

    assert next_runs("15 9 * * *", zone, START_MS, 2) == nodes.times


@pytest.mark.parametrize("after_ms", [-1, LATEST_MS + 1, 10**30, 1.5, True, None, "0"])
def test_a_start_that_is_no_time_is_refused(after_ms: Any) -> None:
    with pytest.raises(InvalidOption) as refused:
        next_run("* * * * *", "UTC", after_ms)

    assert refused.value.field == "after_ms"


@pytest.mark.parametrize("after_ms", [0, LATEST_MS])
@pytest.mark.parametrize("zone", ["UTC", "America/New_York", "Pacific/Kiritimati"])
def test_the_first_and_the_last_start_have_a_next_time(after_ms: int, zone: str) -> None:
    assert next_run("0 0 29 2 *", zone, after_ms) > after_ms


@pytest.mark.parametrize("value", [None, 5, ["* * * * *"], b"UTC"])
def test_what_is_no_text_is_refused(value: Any) -> None:
    with pytest.raises(InvalidOption, match="pattern: must be a text"):
        next_run(value, "UTC", START_MS)
    with pytest.raises(InvalidOption, match="timezone: must be a text"):
        next_run("* * * * *", value, START_MS)
