"""The rules by which R1, R2 and R3 judge: each must be able to fail."""

from __future__ import annotations

import asyncio
from pathlib import Path

from scripts.chaos.append_log import AppendLog
from scripts.chaos.harm import meanwhile
from scripts.chaos.ledger import Entry, Run
from scripts.chaos.numbered_rules import by_number, repeated, returns, unasked, unfinished
from scripts.chaos.restart_rules import Restart, beyond_the_cut, from_before_the_cut, resumed, stored_twice

SECOND_US = 1_000_000


def run(number: str, began_us: int, ended_us: int, how: str = "finished", *, pid: int = 1) -> Run:
    return Run(number, began_us, pid, "", began_us, ended_us, how, number)


# Kills


def test_a_number_is_unfinished_until_a_run_of_it_came_to_its_end() -> None:
    known = by_number([run("1", 0, 1, "killed"), run("2", 0, 1, "killed"), run("2", 5, 6)])

    assert unfinished([1, 2, 3], known) == [1, 3]
    assert repeated(known) == 1


def test_the_time_until_a_number_runs_again_counts_from_the_death_of_its_process() -> None:
    assert returns(by_number([run("1", 0, SECOND_US, "killed"), run("1", 3 * SECOND_US, 9 * SECOND_US)])) == [2.0]
    assert returns(by_number([run("1", 0, 1), run("1", 5, 6)])) == []


def test_a_run_again_is_explained_only_by_the_death_of_the_process_before_it() -> None:
    known = by_number([run("1", 0, 10), run("1", 30, 40, pid=2)])

    assert unasked(known, [Entry("gone", "", 0, 1, 20)]) == []
    assert unasked(known, [Entry("gone", "", 0, 1, 35)]) != []
    assert unasked(known, []) != []


async def test_harm_that_loses_a_cancellation_is_ended_all_the_same() -> None:
    lost: list[str] = []

    async def deaf() -> None:
        while True:
            try:
                await asyncio.sleep(60)  # it is always cut short
            except asyncio.CancelledError:
                if lost:
                    raise
                lost.append("the first one")

    async with asyncio.timeout(10), meanwhile(deaf()):
        await asyncio.sleep(0.01)  # it has begun

    assert lost


# Restarts


def test_work_resumes_with_the_first_run_that_begins_after_redis_answers() -> None:
    started = [Entry("start", "1", 0, 1, 5), Entry("start", "2", 0, 1, 3 * SECOND_US)]

    assert resumed([Restart(0, SECOND_US, 0, 0)], started) == [2.0]
    assert resumed([Restart(0, 4 * SECOND_US, 0, 0)], started) == []


def test_a_number_that_runs_as_two_jobs_was_stored_twice() -> None:
    again = [Entry("start", "1", 0, 1, 5, note="7"), Entry("start", "1", 0, 1, 9, note="7")]

    assert stored_twice(again) == []
    assert stored_twice([*again, Entry("start", "1", 0, 1, 9, note="8")]) != []


def test_only_what_was_acknowledged_in_the_time_that_the_log_lost_may_be_gone() -> None:
    restarts = [Restart(10 * SECOND_US, 11 * SECOND_US, 100, 9 * SECOND_US)]

    assert beyond_the_cut([1], {1: 9_500_000}, restarts) == []
    assert beyond_the_cut([1], {1: 10_500_000}, restarts) == []  # answered before the kill, read after it
    assert beyond_the_cut([1], {1: 8_500_000}, restarts) != []
    assert beyond_the_cut([1], {1: 12_000_000}, restarts) != []


def test_only_what_ended_in_the_time_that_the_log_lost_may_run_again() -> None:
    restarts = [Restart(10 * SECOND_US, 11 * SECOND_US, 100, 9 * SECOND_US)]
    again = run("1", 12 * SECOND_US, 13 * SECOND_US)

    assert from_before_the_cut(by_number([run("1", 9_200_000, 9_500_000), again]), restarts) == []
    assert from_before_the_cut(by_number([run("1", 8_000_000, 8_400_000), again]), restarts) != []
    assert from_before_the_cut(by_number([run("1", 11_100_000, 11_500_000), again]), restarts) != []


async def test_a_log_loses_what_was_appended_since_a_moment_and_no_more(tmp_path: Path) -> None:
    folder = tmp_path / "appendonlydir"
    folder.mkdir()
    file = folder / "appendonly.aof.1.incr.aof"
    file.write_bytes(b"synced")
    log = AppendLog(tmp_path)
    noted_us = log.note()
    with file.open("ab") as appended:
        appended.write(b" and not")

    assert log.cut(noted_us) == (len(" and not"), noted_us)
    assert file.read_bytes() == b"synced"


async def test_what_redis_did_not_append_while_its_disk_was_slow_is_lost_with_the_rest(tmp_path: Path) -> None:
    """Redis keeps it back for seconds then; a log that had not grown for four of them seemed to have lost one."""
    folder = tmp_path / "appendonlydir"
    folder.mkdir()
    file = folder / "appendonly.aof.1.incr.aof"
    file.write_bytes(b"")
    log = AppendLog(tmp_path)
    empty_us = log.note()
    file.write_bytes(b"the last write")
    log.note()
    still_us = log.note()

    assert log.cut(still_us) == (0, empty_us)
