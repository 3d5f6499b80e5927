"""The rules by which R6 and R6C judge: what a takeover excuses, and what it does not."""

from __future__ import annotations

import pytest

from scripts.chaos.failover_rules import Harm, Stored, Window, judge_pauses, pause_s, stored_in
from scripts.chaos.ledger import Entry, Run
from scripts.chaos.r6_cluster import MASTERS, spread
from scripts.chaos.replication import Takeover
from scripts.chaos.report import Findings

S = 1_000_000
TAKEOVER = Window.of_takeover(Takeover(confirmed_us=10 * S, promoted_us=12 * S), frozenset((1,)))


def run_of(started_s: float, ended_s: float) -> Run:
    return Run("7", 1, 1, "", int(started_s * S), int(ended_s * S), "finished", "")


@pytest.mark.parametrize(
    ("queue", "acknowledged_s", "may_be_lost"),
    [(1, 9.9, False), (1, 10.1, True), (1, 13.9, True), (1, 14.1, False), (0, 11.0, False)],
)
def test_only_what_was_acknowledged_around_the_takeover_of_its_queue_may_be_lost(
    queue: int, acknowledged_s: float, may_be_lost: bool
) -> None:
    assert TAKEOVER.may_lose(queue, int(acknowledged_s * S)) is may_be_lost


@pytest.mark.parametrize(
    ("began_s", "ended_s", "recorded_s", "may_run_again"),
    [(1, 9.8, 9.9, False), (1, 9.8, 10.1, True), (1, 9.8, None, True), (13.9, 20, 20, True), (14.1, 20, 20, False)],
)
def test_only_a_run_that_a_takeover_may_have_made_unknown_may_have_another_one(
    began_s: float, ended_s: float, recorded_s: float | None, may_run_again: bool
) -> None:
    recorded_us = None if recorded_s is None else int(recorded_s * S)

    assert TAKEOVER.touches(1, run_of(began_s, ended_s), recorded_us) is may_run_again


def test_a_slot_that_is_long_on_its_way_may_make_runs_repeat_but_loses_nothing() -> None:
    move = Window.of_long_move(10 * S, 20 * S, frozenset((1,)))

    assert move.touches(1, run_of(15, 16), 16 * S)
    assert not any(move.may_lose(1, moment_s * S) for moment_s in range(30))


def test_a_pause_is_counted_from_the_harm_to_the_next_and_needs_no_life_in_it() -> None:
    assert pause_s([1 * S, 2 * S, 5 * S, 6 * S], begun_us=2 * S, end_us=7 * S) == 3.0
    assert pause_s([], begun_us=2 * S, end_us=7 * S) == 5.0


def test_one_worker_that_does_not_go_on_is_seen_though_another_does() -> None:
    entries = [Entry("start", str(number), 1, 1, number * S) for number in range(30)]
    entries += [Entry("start", "3", 1, 2, 3 * S)]
    findings = Findings()

    judge_pauses([Harm("killed", 4 * S, frozenset((0,)))], 30 * S, entries, 1, findings)

    assert [claim.holds for claim in findings.claims] == [False]
    assert findings.claims[0].seen == "killed: 26.0 s"


def test_what_was_acknowledged_is_read_from_the_ledger_with_what_the_replica_confirmed() -> None:
    entries = [
        Entry("stored", "1", 0, 9, 5, "a"),
        Entry("stored", "2", 0, 9, 6, "b"),
        Entry("replicated", "2", 0, 9, 7),
    ]

    assert stored_in(entries) == [Stored(1, "a", 5, is_replicated=False), Stored(2, "b", 6, is_replicated=True)]


def test_the_queues_are_dealt_out_to_the_masters_in_turn() -> None:
    assert len(set(spread(2 * MASTERS))) == 2 * MASTERS
