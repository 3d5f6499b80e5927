"""The rules by which the chaos programs judge: each must be able to fail."""

from __future__ import annotations

from pathlib import Path

from scripts.chaos.ledger import Entry, Ledger, Run, freezes, runs, was_frozen
from scripts.chaos.marks import marks, overlaps
from scripts.chaos.order_rules import out_of_order, overtaking, together
from scripts.chaos.report import Findings, quantile
from scripts.chaos.singleton_rules import free_again, overlapping, unexplained
from scripts.chaos.trespass import Visit, trespasses
from scripts.chaos.watch import Seen

MARK = "bull:jobs:job:superseded:"


def run(job_id: str, began_us: int, ended_us: int, how: str = "finished", *, note: str = "0", pid: int = 1) -> Run:
    return Run(job_id, 1, pid, "key", began_us, ended_us, how, note)


def seen(at_us: int, *words: str, by_script: bool = True) -> Seen:
    return Seen(at_us, words, by_script)


# The ledger


def test_a_run_without_an_end_ends_with_its_process() -> None:
    entries = [Entry("start", "1", 1, 7, 10), Entry("start", "1", 2, 8, 30), Entry("gone", "", 0, 7, 20)]

    first, second = runs([*entries, Entry("end", "1", 2, 8, 40, "finished")])

    assert (first.how, first.ended_us) == ("killed", 20)
    assert (second.how, second.ended_us) == ("finished", 40)


def test_a_line_that_is_still_being_written_is_left_out(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path / "ledger")
    ledger.write("start", "1", 1)
    with ledger.path.open("ab") as file:
        file.write(b'["start", "2"')

    assert [entry.job_id for entry in ledger.entries()] == ["1"]


def test_a_freeze_lasts_until_its_process_is_thawed_or_gone() -> None:
    entries = [Entry("frozen", "", 0, 7, 10), Entry("frozen", "", 0, 8, 11), Entry("thawed", "", 0, 7, 20)]

    frozen = freezes([*entries, Entry("gone", "", 0, 8, 30)])

    assert was_frozen(run("1", 15, 25, pid=7), frozen)
    assert not was_frozen(run("1", 21, 25, pid=7), frozen)
    assert was_frozen(run("1", 25, 40, pid=8), frozen)


# Marks


def test_two_runs_of_a_lane_that_nobody_marked_are_an_overlap() -> None:
    [overlap] = overlaps([run("1", 0, 10), run("2", 6, 20)], {})

    assert (overlap.lane, overlap.lasted_us) == ("key", 4)


def test_a_run_that_was_marked_before_the_next_began_is_none() -> None:
    marked = marks([seen(5, "SET", f"{MARK}1", "2", "PX", "100")])

    assert overlaps([run("1", 0, 10), run("2", 6, 20)], marked) == []


def test_a_mark_that_comes_late_or_is_taken_away_too_soon_is_an_overlap() -> None:
    late = marks([seen(8, "SET", f"{MARK}1", "2")])
    short = marks([seen(5, "SET", f"{MARK}1", "2"), seen(8, "DEL", f"{MARK}1")])

    for marked in (late, short):
        [overlap] = overlaps([run("1", 0, 10), run("2", 6, 20)], marked)
        assert overlap.lasted_us == 2


# Order


def test_runs_of_an_order_key_that_overlap_are_seen_also_past_a_short_one_between() -> None:
    assert together([run("1", 0, 10), run("2", 3, 4), run("3", 5, 6)]) != []
    assert together([run("1", 0, 10), run("2", 10, 12)]) == []


def test_a_first_run_out_of_turn_is_seen_and_a_later_one_is_not() -> None:
    first, second = run("1", 0, 1, note="1"), run("2", 2, 3, note="2")

    assert out_of_order([second, first._replace(started_us=4)]) != []
    assert out_of_order([first, second, first._replace(started_us=4)]) == []


def test_overtaking_a_job_that_waits_for_its_next_try_is_seen() -> None:
    failed, again = run("1", 0, 1, "failed", note="1"), run("1", 8, 9, note="1")
    after = run("2", 5, 6, note="2")

    assert overtaking([failed, after, again], {}) != []
    assert overtaking([failed, again, after._replace(started_us=10)], {}) == []


def test_a_job_that_was_removed_between_its_tries_is_not_overtaken() -> None:
    assert overtaking([run("1", 0, 1, "failed", note="1"), run("2", 5, 6, note="2")], {"1": 3}) == []


# Singletons


def test_an_overlap_is_explained_only_where_the_older_run_stood_still_under_its_lock() -> None:
    pairs = overlapping([run("1", 10, 20, note="9"), run("2", 15, 30, note="14", pid=2)])
    frozen = freezes([Entry("frozen", "", 0, 1, 11), Entry("thawed", "", 0, 1, 19)])

    assert len(unexplained(pairs, [])) == 1
    assert unexplained(pairs, frozen) == []


def test_a_lock_is_free_again_when_the_next_run_under_it_begins() -> None:
    assert free_again({"key": [run("1", 0, 10, "killed"), run("2", 2_000_010, 3_000_000)]}) == [2.0]


# Trespass


def test_a_write_to_what_the_successor_holds_counts_only_in_a_call_of_the_stale_run() -> None:
    visit = Visit("round", 0, 100, "stale-token", "1", ("bull:jobs:1:lock",))
    write = seen(11, "DEL", "bull:jobs:1:lock")

    stale = [seen(10, "EVALSHA", "sha", "1", "stale-token:1", by_script=False), write]
    rightful = [seen(10, "EVALSHA", "sha", "1", "other-token:1", by_script=False), write]
    elsewhere = [stale[0], seen(11, "DEL", "bull:jobs:2:lock")]

    assert trespasses(stale, [visit]) == ["round: DEL bull:jobs:1:lock"]
    assert trespasses(rightful, [visit]) == []
    assert trespasses(elsewhere, [visit]) == []


def test_a_stale_call_that_moves_the_successors_job_or_tells_of_it_is_a_trespass() -> None:
    visit = Visit("round", 0, 100, "stale-token", "1", ())
    call = seen(10, "EVALSHA", "sha", "1", "stale-token:1", by_script=False)
    moved = seen(11, "LREM", "bull:jobs:active", "-1", "1")
    told = seen(12, "XADD", "bull:jobs:events", "*", "event", "progress", "jobId", "1", "data", "5")
    of_another = seen(13, "XADD", "bull:jobs:events", "*", "event", "progress", "jobId", "2", "data", "1")
    marker = seen(14, "ZADD", "bull:jobs:marker", "0", "1")

    assert len(trespasses([call, moved, told], [visit])) == 2
    assert trespasses([call, of_another, marker], [visit]) == []


# The report


def test_a_claim_with_a_fault_does_not_hold_and_shows_the_first_of_them() -> None:
    findings = Findings()
    findings.claim("none is lost", [str(number) for number in range(9)])

    assert not findings.claims[0].holds
    assert findings.claims[0].seen == "0; 1; 2; 3; 4 … 9 in all"


def test_a_quantile_is_a_value_that_was_measured() -> None:
    times_s = [float(number) for number in range(1, 101)]

    assert (quantile(times_s, 0.5), quantile(times_s, 0.99), quantile(times_s, 1.0)) == (50.0, 99.0, 100.0)
