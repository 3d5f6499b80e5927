"""R12: random patterns in random zones, most of them close to a change of the clocks, judged by Node's cron-parser."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import metadata
from itertools import pairwise, takewhile
from operator import eq
from random import Random
from typing import Final

from jobqueue.cron.patterns import next_run
from jobqueue.cron.zones import Zone, zone_named
from jobqueue.errors import InvalidOption
from scripts.chaos.report import Findings
from tests.cron import node_cron
from tests.cron.node_cron import NextTimes, Question
from tests.cron.pattern_cases import PatternCases

HOUR_S: Final = 3_600

# What docs/cron-patterns.md says that only Node takes, by the field that it stands in.
_NAME: Final = "(?:SUN|MON|TUE|WED|THU|FRI|SAT|JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC)"
_ANYWHERE: Final = re.compile(
    r".*(?:(?<!T)H|H(?!U)).*"  # drawn by chance
    r"|.*[*?][^,/#].*|.*[^,][*?].*"  # * or ? as a part of a number
    r"|.*-[^,]*-.*|.*/[0-9]+-.*"  # a second dash, which Node does not read
)
_DAY: Final = re.compile(r".*[^,]L.*|.*L[^,].*")
_MONTH: Final = re.compile(rf".*(?:SUN|MON|TUE|WED|THU|FRI|SAT).*|.*{_NAME}[A-Z0-9].*|.*[0-9/]{_NAME}.*")
_WEEKDAY: Final = re.compile(
    r".*(?:JAN|FEB|MAR|APR|MAY|JUN|JUL|AUG|SEP|OCT|NOV|DEC).*"
    rf"|.*{_NAME}(?!L)[A-Z0-9].*|.*[0-9/]{_NAME}.*"
    r"|.*(?:[0-9]{2}|[89]|L|[-/].*)L.*|.*L[^,].*"
    r"|.*\#(?![1-5]$).*"
)
_SPACES: Final = re.compile("[ \t\u00a0\u3000\ufeff]+")
_OF_PLACE: Final = {-3: _DAY, -2: _MONTH, -1: _WEEKDAY}


@dataclass(frozen=True, slots=True)
class Patterns:
    """Random patterns, zones and starts from 2015 to 2037, several next times each, judged by Node's cron-parser."""

    cases: int = 10_000
    times: int = 4
    garbled: int = 5_000

    async def run(self, seed: int) -> Findings:
        drawn, findings = PatternCases(Random(seed)), Findings()
        questions = [drawn.question(self.times) for _ in range(self.cases)]
        garbled = [drawn.garbled(2) for _ in range(self.garbled)]
        said = await node_cron.versions()
        findings.figures["cron-parser, Node"] = f"{said['cron-parser']}, {said['node']}"
        findings.figures["time zone data of Node / of ours"] = f"{said['tz']} / {metadata.version('tzdata')}"
        await _judge_times(questions, findings)
        await _judge_garbled(garbled, findings)
        return findings


@dataclass(frozen=True, slots=True)
class Case:
    """What was asked, and what both sides answered."""

    question: Question
    ours: NextTimes
    theirs: NextTimes

    @property
    def is_equal(self) -> bool:
        return self.ours.times == self.theirs.times and (self.ours.problem is None) == (self.theirs.problem is None)

    @property
    def instants_s(self) -> list[int]:
        """The start, and all times that either side gave."""
        return [instant_ms // 1000 for instant_ms in (self.question.after_ms, *self.ours.times, *self.theirs.times)]

    def __str__(self) -> str:
        asked = f"{self.question.pattern!r} in {self.question.zone} after {_iso(self.question.after_ms)}"
        return f"{asked}: ours {_told(self.ours)}, Node's {_told(self.theirs)}"


async def _judge_times(questions: Sequence[Question], findings: Findings) -> None:
    judged = [
        Case(question, our_times(question), theirs)
        for question, theirs in zip(questions, await node_cron.next_times(questions), strict=True)
    ]
    equal = [case for case in judged if case.is_equal]
    circles = [case for case in judged if not case.is_equal and _is_circle(case)]
    others = [case for case in judged if not case.is_equal and case not in circles]
    other_data = await _with_other_data(others)
    findings.figures |= {
        "cases": len(judged),
        "next times that are equal": sum(len(case.ours.times) for case in equal),
        "patterns that both refuse": sum(case.ours.problem is not None for case in equal),
        "cases that differ where the zone data does": len(other_data),
        "their zones": ", ".join(sorted({case.question.zone for case in other_data})) or "none",
        "cases in which Node goes round in a circle": len(circles),
    }
    faults = [case for case in others if case not in other_data]
    findings.claim("no case differs without an explanation in the docs", faults)


async def _judge_garbled(questions: Sequence[Question], findings: Findings) -> None:
    judged = [
        Case(question, our_times(question), theirs)
        for question, theirs in zip(questions, await node_cron.next_times(questions), strict=True)
    ]
    taken = [case for case in judged if case.ours.problem is None]
    only_node = [case for case in judged if case.ours.problem and not case.theirs.problem]
    findings.figures |= {
        "garbled patterns": len(judged),
        "of them taken by both": len(taken),
        "of them taken by Node alone": len(only_node),
    }
    faults = [case for case in taken if not case.is_equal]
    findings.claim("a garbled pattern that is taken is taken by Node, with the same times", faults)
    unexplained = [case for case in only_node if not _is_explained(case.question.pattern)]
    findings.claim("a garbled pattern that Node alone takes is of a kind that the docs list", unexplained)


def our_times(question: Question) -> NextTimes:
    """What we answer; a problem that is no InvalidOption is not caught."""
    times: list[int] = []
    after_ms = question.after_ms
    try:
        while len(times) < question.count:
            after_ms = next_run(question.pattern, question.zone, after_ms)
            times.append(after_ms)
    except InvalidOption as error:
        return NextTimes(tuple(times), error.problem)
    return NextTimes(tuple(times), None)


def _is_circle(case: Case) -> bool:
    """Whether Node gave up, or went back, on its way over a change by which clocks go back to no full hour."""
    ours, theirs = case.ours, case.theirs
    if ours.problem:
        return False
    equal = len([*takewhile(bool, map(eq, ours.times, theirs.times))])
    from_ms, until_ms = (case.question.after_ms, *ours.times)[equal : equal + 2]
    went_back = equal < len(theirs.times) and theirs.times[equal] <= from_ms
    gave_up = equal == len(theirs.times) and theirs.problem == "no next time"
    return (went_back or gave_up) and _goes_back_into_an_hour(zone_named(case.question.zone), from_ms, until_ms)


def _goes_back_into_an_hour(zone: Zone, from_ms: int, until_ms: int) -> bool:
    hours_s = range(from_ms // 1000, until_ms // 1000 + 2 * HOUR_S, HOUR_S)
    changes = [zone.first_change(*hour_s) for hour_s in pairwise(hours_s) if zone.changes_between(*hour_s)]
    return any(
        zone.offset_at(change) < zone.offset_at(change - 1) and (change + zone.offset_at(change)) % HOUR_S
        for change in changes
    )


async def _with_other_data(cases: Sequence[Case]) -> list[Case]:
    """Those whose zone has other offsets in Node's data, around the start or one of the times."""
    around = [
        [instant + hours * HOUR_S for instant in case.instants_s for hours in range(-30, 31, 6)] for case in cases
    ]
    wanted = [(case.question.zone, instants) for case, instants in zip(cases, around, strict=True)]
    found = zip(cases, around, await node_cron.offsets(wanted), strict=True)
    return [
        case
        for case, instants, offsets in found
        if [*map(zone_named(case.question.zone).offset_at, instants)] != [*offsets]
    ]


def _is_explained(pattern: str) -> bool:
    texts = [text for text in _SPACES.split(pattern.upper()) if text]
    if len(texts) < 5 or any(map(_ANYWHERE.fullmatch, texts)):
        return True
    return any(kind.fullmatch(texts[place]) for place, kind in _OF_PLACE.items())


def _told(answer: NextTimes) -> str:
    return " ".join([*map(_iso, answer.times), *([answer.problem] if answer.problem else [])])


def _iso(instant_ms: int) -> str:
    return datetime.fromtimestamp(instant_ms / 1000, UTC).isoformat(timespec="milliseconds").removesuffix("+00:00")
