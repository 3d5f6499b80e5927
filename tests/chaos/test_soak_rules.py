"""The rules by which R19 calls something flat, and its jobs and slots complete: each must be able to fail."""

from __future__ import annotations

import pytest

from scripts.chaos.flatness import Bound, Point, Trend, trend
from scripts.chaos.ledger import Run
from scripts.chaos.soak_jobs import Kind, Manner
from scripts.chaos.soak_rules import Bounds, Stored, grown, keeps_up, lost, slots_of, trends, untried
from scripts.chaos.vitals import WAITING, Sample, kind_of

BOUNDS = Bounds(percent=3, mb_an_hour=3)


def run(job_id: str, began_ms: int = 0, how: str = "finished") -> Run:
    return Run(job_id, 1, 1, "", began_ms * 1_000, began_ms * 1_000 + 1, how, "")


def stored(job_id: str, kind: Kind = "plain", group: str = "", manner: Manner = "works") -> Stored:
    return Stored(job_id, kind, group, manner)


def samples(name: str, values: list[float], waiting: float = 0) -> list[Sample]:
    """One each minute for an hour, the values spread over them."""
    return [{"s": 60 * at, name: values[at * len(values) // 60], WAITING: waiting} for at in range(60)]


# Flatness


def test_what_stays_within_its_noise_is_flat() -> None:
    noisy = trend([Point(at, 100 + at % 3) for at in range(3_600)])

    assert abs(noisy.percent) < 1
    assert abs(noisy.an_hour) < 0.1


def test_growth_in_the_first_quarter_does_not_count_and_later_growth_does() -> None:
    warming = trend([Point(at, min(at, 900)) for at in range(3_600)])
    leaking = trend([Point(at, 100 + at / 360) for at in range(3_600)])

    assert (warming.percent, warming.an_hour) == (0, 0)
    assert leaking.an_hour == pytest.approx(10)
    assert leaking.percent > 3


def test_a_slope_is_not_bent_by_a_few_wild_values() -> None:
    assert trend([Point(at, 10_000 if at % 20 == 0 else 50) for at in range(400)]).an_hour == 0


def test_a_bound_is_exceeded_by_the_part_or_by_what_an_hour_adds() -> None:
    assert not Bound(3, an_hour=3).exceeded_by(Trend(100, 102, 2.9))
    assert Bound(3, an_hour=3).exceeded_by(Trend(100, 102, 3.1))
    assert Bound(3).exceeded_by(Trend(100, 104, 0))
    assert not Bound(3, slack=2).exceeded_by(Trend(100, 104, 0))


def test_too_few_samples_to_tell_are_refused() -> None:
    with pytest.raises(ValueError, match="too few"):
        trend([Point(0, 1), Point(10, 1)])


@pytest.mark.parametrize(
    "name",
    [
        "worker 1: RSS, MB",
        "worker 1: open file handles",
        "producer: threads",
        "Redis: used memory, MB",
        "keys: job:lane",
    ],
)
def test_growth_of_any_kind_is_seen(name: str) -> None:
    flat, growing = trends(samples(name, [50.0])), trends(samples(name, [50.0, 60.0, 70.0, 80.0]))

    assert [fault for faults in grown(flat, BOUNDS).values() for fault in faults] == []
    assert [fault for faults in grown(growing, BOUNDS).values() for fault in faults] != []


def test_what_redis_holds_of_a_backlog_is_no_growth_while_most_samples_are_calm() -> None:
    name = "Redis: used memory, MB"
    backlog = [
        {**sample, WAITING: 500, name: 99} if at % 3 == 0 else sample for at, sample in enumerate(samples(name, [5.0]))
    ]

    assert keeps_up(backlog)
    assert trends(backlog)[name].percent == 0
    assert not keeps_up(samples(name, [5.0], waiting=500))


def test_keys_are_told_apart_by_what_they_are() -> None:
    kinds = ["7", "7:logs", "job:lane:latest:a", "repeat:row", "repeat:row:1000", "meta"]

    assert [*map(kind_of, kinds)] == ["jobs", "logs of jobs", "job:lane", "schedulers", "jobs of slots", "meta"]


# Jobs and slots


def test_a_job_without_an_end_is_lost_and_in_a_lane_only_the_last_one() -> None:
    lane = [stored("2", "latest", "a"), stored("3", "latest", "a")]

    assert lost([stored("1")], [run("1", how="failed")]) != []
    assert lost([stored("1", manner="fails")], [run("1", how="failed for good")]) == []
    assert lost(lane, [run("3")]) == []
    assert lost(lane, [run("2")]) != []


def test_a_job_that_ran_more_or_less_often_than_it_has_tries_is_seen() -> None:
    assert untried([stored("1", manner="fails once")], [run("1", how="failed"), run("1")]) == []
    assert untried([stored("1")], [run("1"), run("1")]) != []
    assert untried([stored("1", manner="fails")], [run("1", how="failed")]) != []


def test_a_slot_that_ran_twice_or_not_at_all_is_seen() -> None:
    once = [run(f"repeat:row:{slot}", slot + 5) for slot in (1_000, 2_000, 3_000)]

    assert slots_of(once, 1_000) == (3, 0, [])
    assert slots_of([*once, once[0]], 1_000).faults != []
    assert slots_of([once[0], once[2]], 1_000).faults != []


def test_a_slot_that_had_passed_when_the_one_before_was_picked_up_is_given_up() -> None:
    late = [run("repeat:row:1000", 2_100), run("repeat:row:3000", 3_000)]

    assert slots_of(late, 1_000) == (2, 1, [])
