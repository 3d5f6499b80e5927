"""Every chaos program in its short form: what must hold does, whoever is killed or stands still."""

from __future__ import annotations

import pytest

from scripts.chaos.programs import PROGRAMS, performed
from scripts.chaos.r3_restarts import Restarts

SEED = 1

# They wait for locks to expire, which takes the longer the busier the machine is.
pytestmark = pytest.mark.timeout(180)


async def _hold(name: str) -> None:
    report = await performed(name, PROGRAMS[name].short, SEED)

    assert report.holds, report.as_text()


async def test_a_redis_that_comes_back_costs_no_job_no_try_and_little_time() -> None:
    await _hold("R4")


async def test_what_a_bad_network_loses_is_neither_lost_nor_done_twice() -> None:
    await _hold("R5")


async def test_a_handler_that_blocks_the_loop_has_one_effect_and_is_named() -> None:
    await _hold("R7")


async def test_killed_workers_lose_nothing_and_only_what_they_had_in_hand_runs_again() -> None:
    await _hold("R1")


async def test_a_killed_workers_jobs_run_again_within_the_lock_and_a_check() -> None:
    await _hold("R2")


async def test_a_redis_that_is_killed_and_started_again_has_what_it_acknowledged() -> None:
    await _hold("R3")


async def test_a_redis_that_lost_its_last_second_has_what_it_acknowledged_before() -> None:
    program = Restarts(jobs=300, restarts=2, most_down_ms=500, deadline_s=60, everysec=1)

    report = await performed("R3", program, SEED)

    assert report.holds, report.as_text()


async def test_what_workers_producer_and_redis_use_does_not_grow_while_they_work() -> None:
    await _hold("R19")


async def test_a_worker_that_stood_still_cannot_touch_what_its_successor_holds() -> None:
    await _hold("R8")


async def test_good_jobs_are_done_among_poison_of_every_kind() -> None:
    await _hold("R13")


async def test_what_nobody_should_send_is_refused_or_set_aside_and_the_worker_lives_on() -> None:
    await _hold("R14")


async def test_a_signal_in_any_phase_loses_nothing_and_the_next_worker_goes_on_at_once() -> None:
    await _hold("R17")


async def test_node_and_ours_share_a_queue_and_nothing_is_lost() -> None:
    await _hold("R18")


async def test_the_last_of_a_storm_runs_and_no_two_unmarked_runs_are_at_work_at_once() -> None:
    await _hold("R15")


async def test_singletons_never_overlap_though_workers_are_killed_and_frozen() -> None:
    await _hold("R16")


async def test_order_keys_keep_their_order_under_kills_and_the_hands_of_a_bullmq_tool() -> None:
    await _hold("R21")


async def test_leaks_are_removed_beside_busy_workers_and_nothing_alive_is() -> None:
    await _hold("doctor")


async def test_nothing_stays_of_many_distinct_keys_lanes_and_handlers() -> None:
    await _hold("memory")
