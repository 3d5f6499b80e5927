"""Patterns against Node: the short form of R12."""

from __future__ import annotations

from scripts.chaos.programs import PROGRAMS, performed


async def test_random_patterns_in_random_zones_fire_when_node_says_so() -> None:
    report = await performed("R12", PROGRAMS["R12"].short, seed=1)

    assert report.holds, report.as_text()
