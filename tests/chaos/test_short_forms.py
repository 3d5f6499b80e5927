"""Every chaos program in its short form: what must hold does, whoever is killed or stands still."""

from __future__ import annotations

import pytest

from scripts.chaos.programs import PROGRAMS, performed

SEED = 1

# They wait for locks to expire, which takes the longer the busier the machine is.
pytestmark = pytest.mark.timeout(180)


async def _hold(name: str) -> None:
    report = await performed(name, PROGRAMS[name].short, SEED)

    assert report.holds, report.as_text()


async def test_a_worker_that_stood_still_cannot_touch_what_its_successor_holds() -> None:
    await _hold("R8")


async def test_good_jobs_are_done_among_poison_of_every_kind() -> None:
    await _hold("R13")


async def test_the_last_of_a_storm_runs_and_no_two_unmarked_runs_are_at_work_at_once() -> None:
    await _hold("R15")


async def test_singletons_never_overlap_though_workers_are_killed_and_frozen() -> None:
    await _hold("R16")


async def test_order_keys_keep_their_order_under_kills_and_the_hands_of_a_bullmq_tool() -> None:
    await _hold("R21")
