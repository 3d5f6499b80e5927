"""R11: its short form holds on both databases, and the rules by which it compares table and Redis can fail."""

from __future__ import annotations

import dataclasses
from datetime import UTC, datetime
from typing import Any

import pytest

from jobqueue.cron import CronJob
from scripts.chaos.programs import performed
from scripts.chaos.r11_edits import Edits
from scripts.chaos.scheduler_rules import Look, differences, outdated, pending_faults, wanted

NOW = datetime(2026, 11, 1, tzinfo=UTC)
ROW = CronJob(
    id="1",
    job_id="row",
    name="row",
    description=None,
    pattern="* * * * *",
    timezone="UTC",
    handler="slot",
    payload=["kind", 1],
    priority=0,
    enabled=True,
    max_attempts=3,
    backoff_ms=5_000,
    overlap="skip",
    misfire="run_once",
    source="admin",
    created_by=None,
    created_at=NOW,
    updated_at=NOW,
)


def look(*rows: CronJob, **changes: Any) -> Look:
    """What Node sees where Redis equals the rows, but for some fields of each scheduler."""
    schedulers = [{**_scheduler(row), **changes} for row in rows]
    pending = [{"id": f"repeat:{row.job_id}:60", "scheduler": row.job_id, **wanted(row)} for row in rows]
    return Look(schedulers, pending)


def _scheduler(row: CronJob) -> dict[str, Any]:
    fields = wanted(row)
    template = {"data": fields.pop("data"), "opts": fields.pop("opts")}
    return {"key": row.job_id, "next": 60, "template": template, **fields}


@pytest.mark.timeout(180)  # each writer's process is started anew whenever it has died
@pytest.mark.parametrize("postgres", [0, 1], ids=["sqlite", "postgres"])
async def test_redis_equals_the_table_after_one_pass_whatever_writers_did_and_died_of(postgres: int) -> None:
    program = Edits(writers=6, edits=15, rows=12, processes=3, workers=2, postgres=postgres)

    report = await performed("R11", program, seed=1)

    assert report.holds, report.as_text()


def test_a_redis_that_equals_the_table_has_no_differences() -> None:
    seen = look(ROW)

    assert differences([ROW], seen, (), ()) == []
    assert pending_faults(seen) == []
    assert outdated([ROW], seen, ()) == []


def test_a_missing_a_spare_and_a_changed_scheduler_are_seen() -> None:
    disabled = dataclasses.replace(ROW, enabled=False)

    assert differences([ROW], look(), (), ()) == ["row has no scheduler"]
    assert differences([disabled], look(ROW), (), ()) == ["row has a scheduler and no enabled row"]
    assert differences([ROW], look(ROW, tz="Asia/Tokyo"), (), ()) != []
    assert differences([dataclasses.replace(ROW, max_attempts=4)], look(ROW), (), ()) != []


def test_schedulers_that_are_not_ours_and_rows_that_mean_nothing_do_not_count() -> None:
    foreign, broken = dataclasses.replace(ROW, job_id="claimed"), dataclasses.replace(ROW, job_id="broken")

    assert differences([ROW, foreign, broken], look(ROW, foreign), ("claimed",), ("broken",)) == []


def test_a_scheduler_without_its_next_job_or_with_two_is_seen() -> None:
    seen = look(ROW)

    assert pending_faults(seen._replace(pending=[])) != []
    assert pending_faults(seen._replace(pending=[*seen.pending, {**seen.pending[0], "id": "repeat:row:120"}])) != []


def test_a_job_that_waits_for_a_scheduler_that_is_gone_is_seen() -> None:
    assert pending_faults(look(ROW)._replace(schedulers=[])) == ["repeat:row:60 waits, and there is no scheduler of it"]


def test_a_job_that_was_made_of_the_row_before_its_edit_is_seen() -> None:
    seen = look(ROW)

    assert outdated([dataclasses.replace(ROW, payload=["kind", 2])], seen, ()) != []
    assert outdated([dataclasses.replace(ROW, priority=5)], seen, ()) != []
