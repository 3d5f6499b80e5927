"""The strategy that stands in for the `bullmq` package's own: BullMQ's repeat options, read as Node reads them."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from pydantic import JsonValue

from jobqueue.clock import now_ms
from jobqueue.cron import repeat_strategy
from jobqueue.errors import InvalidOption
from tests.cron import node_cron
from tests.cron.node_cron import Question

START_MS = 1_790_000_000_000
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


@pytest.mark.parametrize(
    "repeat",
    [
        {},
        {"startDate": START_MS + DAY_MS},
        {"startDate": START_MS - DAY_MS},
        {"startDate": "2027-01-01T12:00:00.000Z"},
        {"startDate": "2027-01-01"},
        {"endDate": START_MS + 10 * DAY_MS},
        {"endDate": START_MS + HOUR_MS},
        {"endDate": START_MS - HOUR_MS},
        {"startDate": START_MS + DAY_MS, "endDate": START_MS + DAY_MS + HOUR_MS},
        {"startDate": 0, "endDate": ""},
        {"limit": 5, "count": 5, "offset": 700},
    ],
)
async def test_dates_bound_the_times_as_in_node(repeat: Mapping[str, JsonValue]) -> None:
    [nodes] = await node_cron.next_times([Question("30 4 * * *", "Europe/Berlin", START_MS, 1, repeat)])

    ours = repeat_strategy(START_MS, {**repeat, "pattern": "30 4 * * *", "tz": "Europe/Berlin"})

    assert (() if ours is None else (ours,)) == nodes.times


@pytest.mark.parametrize("pattern", ["5", "10 5", "20 1 *", "4 * 7 6"])
async def test_the_pattern_of_somebody_else_may_lack_its_first_fields(pattern: str) -> None:
    [nodes] = await node_cron.next_times([Question(pattern, "UTC", START_MS, 1)])

    assert (repeat_strategy(START_MS, {"pattern": pattern, "tz": "UTC"}),) == nodes.times


def test_immediately_is_now() -> None:
    before_ms = now_ms()

    time_ms = repeat_strategy(START_MS, {"pattern": "0 0 1 1 *", "immediately": True})

    assert time_ms is not None
    assert before_ms <= time_ms <= now_ms()


def test_without_a_zone_it_is_utc() -> None:
    repeat = {"pattern": "30 4 * * *"}

    assert repeat_strategy(START_MS, repeat) == repeat_strategy(START_MS, {**repeat, "tz": "UTC"})


def test_without_a_pattern_there_is_no_time() -> None:
    assert repeat_strategy(START_MS, {"every": 1_000}) is None


@pytest.mark.parametrize(
    ("repeat", "field"),
    [
        ({"pattern": 5}, "pattern"),
        ({"pattern": "61 * * * *"}, "pattern"),
        ({"pattern": "* * * * *", "tz": "Mars/Olympus"}, "timezone"),
        ({"pattern": "* * * * *", "tz": 5}, "timezone"),
        ({"pattern": "* * * * *", "startDate": "soon"}, "startDate"),
        ({"pattern": "* * * * *", "endDate": ["2027"]}, "endDate"),
    ],
)
def test_a_wrong_option_is_named(repeat: Mapping[str, object], field: str) -> None:
    with pytest.raises(InvalidOption) as refused:
        repeat_strategy(START_MS, repeat)

    assert refused.value.field == field
