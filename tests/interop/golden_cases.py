"""The requests that the golden files record: what is asked of Node, and how far its worker takes the job."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from pydantic import JsonValue

Options = Mapping[str, JsonValue]
Event = Literal["added", "completed", "failed", "delayed"]


def _none() -> Options:
    return {}


def _data() -> JsonValue:
    # Beyond ASCII, and with a fraction: how JSON.stringify writes them is part of the record.
    return {"type": "adhoc", "payload": {"title": "Übersicht ✓", "pages": 3, "rate": 0.5}}


@dataclass(frozen=True, slots=True)
class Run:
    """Let a Node worker take the job until this event has come."""

    processor: str
    until: Event
    processor_options: Options = field(default_factory=_none)


@dataclass(frozen=True, slots=True)
class GoldenCase:
    """One recorded job: the file `golden/{title}.json` holds the hash that Node wrote for it.

    Where `repeat` is set, the job is the next one of a scheduler with the title as its id, and `opts` its
    template's.
    """

    title: str
    opts: Options = field(default_factory=_none)
    run: Run | None = None
    repeat: Options | None = None
    name: str = "sendReport"
    data: JsonValue = field(default_factory=_data)


KEEP: dict[str, JsonValue] = {"age": 604_800, "count": 10_000}
JITTER: dict[str, JsonValue] = {"type": "exponential", "delay": 1000, "jitter": 0.5}
TRACE: dict[str, JsonValue] = {"metadata": '{"traceparent":"00-0af7651916cd43dd8448eb211c80319c-01"}'}
REPORTS: dict[str, JsonValue] = {"progress": {"done": 1}, "log": "half"}
NO_ROUTE: dict[str, JsonValue] = {"message": "no route"}
# Long enough that nothing moves on while it is being recorded.
HOUR_MS = 3_600_000

CASES: tuple[GoldenCase, ...] = (
    GoldenCase("plain"),
    GoldenCase("no_data", data=None),
    GoldenCase("delayed", {"delay": HOUR_MS}),
    GoldenCase("priority", {"priority": 7}),
    GoldenCase("delayed_priority", {"delay": HOUR_MS, "priority": 7}),
    GoldenCase("lifo", {"lifo": True}),
    GoldenCase("attempts_exponential", {"attempts": 5, "backoff": {"type": "exponential", "delay": 1000}}),
    GoldenCase("attempts_fixed", {"attempts": 5, "backoff": {"type": "fixed", "delay": 1000}}),
    GoldenCase("attempts_number", {"attempts": 5, "backoff": 1000}),
    GoldenCase("attempts_jitter", {"attempts": 5, "backoff": JITTER}),
    GoldenCase("custom_id", {"jobId": "report-2026"}),
    GoldenCase("keep", {"removeOnComplete": KEEP, "removeOnFail": KEEP, "keepLogs": 1000}),
    GoldenCase("keep_by_number", {"removeOnComplete": True, "removeOnFail": 10}),
    GoldenCase("telemetry", {"telemetry": TRACE}),
    GoldenCase("completed", run=Run("echo", "completed")),
    GoldenCase("completed_without_a_value", run=Run("none", "completed")),
    GoldenCase("completed_with_null", run=Run("value", "completed", {"value": None})),
    GoldenCase("completed_with_reports", run=Run("report", "completed", REPORTS)),
    GoldenCase("failed", run=Run("fail", "failed", NO_ROUTE)),
    GoldenCase("failed_without_a_message", run=Run("fail", "failed", {"message": ""})),
    GoldenCase(
        "failed_after_attempts",
        {"attempts": 2, "backoff": {"type": "fixed", "delay": 1}},
        Run("fail", "failed", NO_ROUTE),
    ),
    GoldenCase("failed_unrecoverably", {"attempts": 5}, Run("failUnrecoverably", "failed", NO_ROUTE)),
    GoldenCase(
        "in_backoff",
        {"attempts": 3, "backoff": {"type": "fixed", "delay": HOUR_MS}},
        Run("fail", "delayed", NO_ROUTE),
    ),
    GoldenCase("scheduler_every", {"attempts": 3}, repeat={"every": HOUR_MS}),
    GoldenCase("scheduler_pattern", {"attempts": 3}, repeat={"pattern": "0 4 * * *", "tz": "Europe/Berlin"}),
)
