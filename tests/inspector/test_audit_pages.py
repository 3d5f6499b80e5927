"""The audit log, read: pages over all queues, and what is no entry of ours."""

from __future__ import annotations

from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue.app import App
from jobqueue.errors import (
    InvalidOption,
)
from jobqueue.inspector import Inspector, Operator
from tests.board.support import note
from tests.inspector.support import entries_of


async def test_pages_go_through_the_entries_of_all_queues_newest_first(
    app: App, inspector: Inspector, redis: Redis
) -> None:
    # given: entries of one moment in two queues, and some around them
    for queue in ("jobs", "notes", "other"):
        await app.queue(queue).write_meta()
        for number in range(4):
            fields: Any = {"actor": queue, "via": "local", "action": str(number)}
            await redis.xadd(app.queue(queue).keys.audit(), fields, id=f"{1000 + number}-5")

    seen: list[tuple[int, str]] = []
    before: str | None = None
    pages = 0
    while pages == 0 or before is not None:
        page = await inspector.audit(before=before, limit=5)
        seen += [(entry.at_ms, entry.queue) for entry in page.entries]
        before, pages = page.next, pages + 1

    assert pages == 3
    assert len(seen) == 12
    assert seen == sorted(seen, reverse=True)
    assert len(set(seen)) == 12
    one = await inspector.audit("notes", before="1002-5:notes", limit=5)
    assert ([entry.action for entry in one.entries], one.next) == (["1", "0"], None)


async def test_what_is_no_entry_is_passed_over(
    app: App, inspector: Inspector, operator: Operator, redis: Redis
) -> None:
    await app.queue().write_meta()
    await app.queue("notes").write_meta()
    key = app.queue().keys.audit()
    strange: list[Any] = [
        {"a": "b"},
        {"actor": b"\xff", "via": "x", "action": "odd", "details": "{", "count": "many", "began": "-1"},
        {"actor": "a", "via": "b", "action": "c", "details": "[1]", "outcome": b"\xfe"},
    ]
    for fields in strange:
        await redis.xadd(key, fields)
    await redis.set(app.queue("notes").keys.audit(), "no stream")
    await operator.pause("jobs")
    found = await entries_of(inspector, None)
    assert [(entry.action, entry.actor, dict(entry.details)) for entry in found] == [
        ("pause", "alice", {}),
        ("c", "a", {}),
        ("odd", "\ufffd", {}),
    ]
    assert found[1].outcome == "\ufffd"


@pytest.mark.parametrize(
    "before", ["", "1", "1-1", "x-1:jobs", "1-1:a:b", "0-0:jobs", f"{2**64}-0:jobs", "1-1:", "١-1:a"]
)
async def test_a_place_that_no_page_gave_is_refused(inspector: Inspector, before: str) -> None:
    with pytest.raises(InvalidOption, match="before"):
        await inspector.audit(before=before)


async def test_the_limit_is_clamped(app: App, inspector: Inspector, operator: Operator) -> None:
    await app.queue().write_meta()
    for _ in range(2):
        await operator.pause("jobs")
    assert len((await inspector.audit("jobs", limit=-5)).entries) == 1
    assert len((await inspector.audit("jobs", limit=10**30)).entries) == 2


async def test_an_act_in_another_queue_is_in_the_log_of_that_queue(
    app: App, inspector: Inspector, operator: Operator
) -> None:
    job = await app.enqueue_job(note, {})
    await operator.remove("notes", job.job_id)
    assert [entry.queue for entry in await entries_of(inspector, None)] == ["notes"]
    assert await entries_of(inspector) == ()
