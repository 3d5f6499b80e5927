"""R10: its short form holds, and the rules that it judges slots by can fail."""

from __future__ import annotations

from typing import Any

import pytest

from scripts.chaos.cron_ground import Made
from scripts.chaos.programs import PROGRAMS, performed
from scripts.chaos.slot_rules import Row, gaps, longest_making_ms, longest_pause_ms, unlike_policy, without_death
from scripts.chaos.slots import Start, again, first_starts, scheduler_of, slot_ms, twice

SKIP = Row("row", "skip", "run_once", 1_000)
ALLOW = Row("row", "allow", "run_once", 1_000)
PUNCTUAL = Row("row", "allow", "skip", 1_000)


def made(slot: int, *, at: int | None = None, picked: int | None = None, result: Any = "ran", end: int = 0) -> Made:
    """The job of a slot, its row's one before picked up a second earlier."""
    picked_ms = slot if picked is None else picked
    made_ms = slot - 1_000 if at is None else at
    return Made(f"repeat:row:{slot}", slot, made_ms, picked_ms, end or picked_ms + 10, result, None)


def start(slot: int, claim: int = 1, *, at_ms: int = 0, scheduler: str = "row") -> Start:
    return Start(f"repeat:{scheduler}:{slot}", claim, 1, "kind", (at_ms or slot) * 1_000)


@pytest.mark.timeout(180)  # a killed worker's lock must expire, and the busier the machine, the longer all takes
async def test_each_slot_of_each_second_has_one_job_though_workers_are_killed() -> None:
    report = await performed("R10", PROGRAMS["R10"].short, seed=1)

    assert report.holds, report.as_text()


def test_a_slots_job_says_whose_it_is_and_when_it_is_due() -> None:
    assert (scheduler_of("repeat:row:5000"), slot_ms("repeat:row:5000")) == ("row", 5_000)
    assert (scheduler_of("cron.row.1"), slot_ms("17")) == (None, None)


def test_a_slot_whose_job_was_made_twice_is_seen_and_one_that_was_delivered_again_is_not() -> None:
    delivered_again = [start(1_000), start(1_000, 2)]

    assert twice(delivered_again) == []
    assert len(again(delivered_again)) == 1
    assert twice([start(1_000), start(1_000)]) != []


def test_the_first_start_of_a_job_counts_whichever_claim_it_is() -> None:
    parked_before = start(1_000, 2)

    assert first_starts([parked_before, start(1_000, 3)]) == {parked_before.job_id: parked_before}


def test_slots_that_all_ran_have_no_gap() -> None:
    assert gaps(ALLOW, [made(1_000), made(2_000)], [start(1_000), start(2_000)]) == []


def test_a_slot_is_skipped_by_policy_only_while_the_holder_is_unfinished() -> None:
    skipped = {"skipped": True, "holder": "repeat:row:1000"}
    held = [made(1_000, end=2_500), made(2_000, result=skipped)]
    free = [made(1_000, end=1_500), made(2_000, result=skipped)]

    [gap] = gaps(SKIP, held, [start(1_000)])
    assert gap.why == "skipped"
    for row, jobs in ((SKIP, free), (ALLOW, held)):
        assert unlike_policy(gaps(row, jobs, [start(1_000)])) != []


def test_a_slot_is_missed_by_policy_only_where_it_was_picked_up_after_the_next_one() -> None:
    missed = {"skipped": True, "reason": "missed"}

    [gap] = gaps(PUNCTUAL, [made(1_000, picked=2_100, result=missed)], [])
    assert gap.why == "missed"
    for row, picked in ((PUNCTUAL, 1_900), (ALLOW, 2_100)):
        assert unlike_policy(gaps(row, [made(1_000, picked=picked, result=missed)], [])) != []


def test_a_slot_without_a_job_is_explained_by_the_late_pick_up_of_the_one_before() -> None:
    ran = [start(1_000), start(4_000)]

    late = gaps(ALLOW, [made(1_000), made(4_000, at=3_400)], ran)
    assert [(gap.slot_ms, gap.why) for gap in late] == [(2_000, "dropped"), (3_000, "dropped")]
    assert unlike_policy(gaps(ALLOW, [made(1_000), made(4_000, at=1_000)], ran)) != []


def test_a_job_that_never_ended_or_failed_is_a_gap_that_no_policy_explains() -> None:
    open_job = made(1_000)._replace(finished_ms=0, result=None)
    failed = made(1_000, result=None)._replace(failed="stalled")

    assert unlike_policy(gaps(SKIP, [open_job], [])) != []
    assert unlike_policy(gaps(SKIP, [failed], [])) != []


def test_a_gap_needs_a_death_shortly_before_it() -> None:
    late = gaps(ALLOW, [made(1_000), made(3_000, at=2_400)], [start(1_000), start(3_000)])

    assert without_death(late, [1_200], within_ms=5_000) == []
    assert without_death(late, [9_000], within_ms=5_000) != []
    assert without_death(late, [], within_ms=5_000) != []


def test_the_longest_pause_is_between_two_runs() -> None:
    assert longest_pause_ms([start(1_000), start(2_000), start(5_000)]) == 3_000


def test_a_scheduler_that_has_stopped_is_seen_though_no_later_slot_says_so() -> None:
    jobs = [made(1_000), made(2_000, at=1_010)]

    assert longest_making_ms(jobs, ended_ms=2_900) == 900
    assert longest_making_ms(jobs, ended_ms=9_000) == 7_000
    assert longest_making_ms([made(1_000), made(2_000, at=6_000)], ended_ms=2_900) == 5_000
