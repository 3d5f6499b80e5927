"""R9: its short form holds, clocks are what it sets them to, and its rules can fail."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.chaos.clock_round import Ahead, Wrong, longest_pause_s
from scripts.chaos.clocks import Clock, running_redis_with
from scripts.chaos.programs import PROGRAMS, performed
from tests.support.eventually import eventually

TELL = "import time; print(time.time(), time.monotonic())"


@pytest.mark.timeout(300)  # twelve rounds of half a minute, four at once
async def test_wrong_clocks_cost_no_more_than_they_are_wrong_and_no_slot_runs_twice() -> None:
    report = await performed("R9", PROGRAMS["R9"].short, seed=1)

    assert report.holds, report.as_text()


@pytest.mark.parametrize("ahead_s", [600, -600])
def test_a_process_with_a_wrong_clock_is_wrong_by_that_and_its_timers_are_right(tmp_path: Path, ahead_s: int) -> None:
    clock = Clock(tmp_path / "clock")
    clock.set(ahead_s)

    told = subprocess.run(
        [sys.executable, "-c", TELL],
        env={**os.environ, **clock.environment},
        capture_output=True,
        text=True,
        check=True,
    )
    wall_s, monotonic_s = map(float, told.stdout.split())

    assert wall_s - time.time() == pytest.approx(ahead_s, abs=30)
    assert monotonic_s == pytest.approx(time.monotonic(), abs=30)


async def test_the_clock_of_a_redis_is_set_while_it_runs(tmp_path: Path) -> None:
    clock = Clock(tmp_path / "clock")
    clock.set(600)
    with running_redis_with(clock) as server:
        async with server.client() as redis:

            async def is_ahead_by(expected_s: int) -> bool:
                now_s, _ = await redis.time()
                return abs(now_s - time.time() - expected_s) < 30

            assert await is_ahead_by(600)
            clock.set(-600)
            await eventually(lambda: is_ahead_by(-600))


def test_the_skew_of_a_round_counts_redis_and_what_the_clocks_are_set_to() -> None:
    assert Wrong("", (Ahead(5, 5), Ahead(-5, -5))).skew_s == 10
    assert Wrong("", (Ahead(0, -7),)).skew_s == 7
    assert Wrong("", (Ahead(),), Ahead(0, 3)).skew_s == 3


def test_the_longest_pause_is_between_two_moments() -> None:
    assert longest_pause_s([0, 1_000_000, 4_000_000]) == 3.0
