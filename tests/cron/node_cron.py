"""Node's cron: what BullMQ's own strategy answers, asked of one process, a line for each question."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import BaseModel, ConfigDict, JsonValue

PROGRAM = Path(__file__).with_name("node_cron.mjs")


class NodeCronError(Exception):
    """The Node process did not answer every question."""


@dataclass(frozen=True, slots=True)
class Question:
    """The `count` next times of a pattern, each after the one before; `repeat` has further options of BullMQ."""

    pattern: str
    zone: str
    after_ms: int
    count: int
    repeat: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


@dataclass(frozen=True, slots=True)
class NextTimes:
    """The times that Node gives, in epoch milliseconds, and why there are no more of them where there are too few."""

    times: tuple[int, ...]
    problem: str | None


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid")

    times: tuple[int, ...] = ()
    problem: str | None = None
    offsets: tuple[float, ...] = ()
    versions: dict[str, str] = {}


async def next_times(questions: Sequence[Question]) -> list[NextTimes]:
    """What Node gives for each of them."""
    asked: list[Mapping[str, JsonValue]] = [
        {
            "repeat": {**question.repeat, "pattern": question.pattern, "tz": question.zone},
            "afterMs": question.after_ms,
            "count": question.count,
        }
        for question in questions
    ]
    return [NextTimes(answer.times, answer.problem) for answer in await _ask(asked)]


async def offsets(wanted: Sequence[tuple[str, Sequence[int]]]) -> list[tuple[float, ...]]:
    """The offsets of zones at instants in Node's own data, all in seconds."""
    asked: list[Mapping[str, JsonValue]] = [{"zone": zone, "instants": [*instants]} for zone, instants in wanted]
    return [answer.offsets for answer in await _ask(asked)]


async def versions() -> dict[str, str]:
    """Of cron-parser, of Node, and of Node's time zone data."""
    [answer] = await _ask([{}])
    return answer.versions


async def _ask(questions: Sequence[Mapping[str, JsonValue]]) -> list[_Answer]:
    process = await asyncio.create_subprocess_exec(
        *("node", str(PROGRAM)), stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
    )
    try:
        output, _ = await process.communicate(b"".join(json.dumps(question).encode() + b"\n" for question in questions))
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    answers = [_Answer.model_validate_json(line) for line in output.splitlines()]
    if len(answers) != len(questions):
        raise NodeCronError(f"{len(answers)} answers to {len(questions)} questions; its words are on standard error")
    return answers
