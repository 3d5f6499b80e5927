"""Where events were lost: the jobs themselves are looked at, some at a time, and tell what happened."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

import pytest

from jobqueue import JobContext, fixed, make_job
from jobqueue.cron import CronJob
from jobqueue.cron.history import BEHIND_REST_S, REST_S, keep_history
from jobqueue.encoding import encode_json
from jobqueue.worker.outcomes import Missed, Skipped, Superseded
from tests.conftest import MakeSettings
from tests.cron.histories import HOUR_MS, by_sql, emit, give_up_lease, read_all, reader, statuses, trim, work
from tests.cron.scheduled import FAR
from tests.cron.slots import Site, far_row, site
from tests.interop.node_peer import NodePeer
from tests.patterns.working import Gate, serving


@pytest.fixture
async def made(settings: MakeSettings) -> AsyncIterator[Site]:
    async with site(settings(), work) as made:
        yield made


async def test_the_end_of_a_run_is_found_though_its_event_was_trimmed(settings: MakeSettings) -> None:
    gate = Gate()

    @make_job(name="work")
    async def wait(ctx: JobContext) -> None:
        await gate.wait()

    async with site(settings(), wait) as made, serving(made.app):
        row = await far_row(made, "work")
        job_id = await made.slot(row)
        await made.row_says(row, "active", job_id)
        gate.opened.set()
        await made.ended(job_id)

        await trim(made)

        told = await made.row_says(row, "completed", job_id)
        assert told.last_completed_at is not None


async def test_a_slot_is_found_though_all_its_events_were_trimmed(settings: MakeSettings) -> None:
    async with site(settings(), work) as made:
        row, history = await far_row(made, "work"), reader(made)
        job_id = await made.slot(row)
        await read_all(history)
        await history.tick()  # it knows by now which slot the scheduler waits for
        async with serving(made.app):
            await made.ended(job_id)
            await trim(made)

            await read_all(history)

        told = await made.cron.get(row.id)
        assert (told.last_status, told.last_job_id) == ("completed", job_id)
        assert told.last_run_at is not None
        assert told.last_completed_at is not None
        assert told.last_completed_at >= told.last_run_at


async def test_a_run_that_goes_on_in_the_queue_its_handler_left_is_not_taken_for_removed(made: Site) -> None:
    """It waits there, parked; in the handler's new queue nobody had ever seen it."""
    row, history = await far_row(made, "work"), reader(made)
    old = made.app.queue("old")
    await by_sql(made, "INSERT INTO cron_queue (name) VALUES ('old')")
    await by_sql(made, "UPDATE cron_job SET last_status = 'active', last_job_id = 'repeat:n:1'")
    await made.app.client.call("HSET", old.keys.job("repeat:n:1"), "name", "work", "timestamp", 1)

    await read_all(history)
    assert await statuses(made) == ["active"]

    await made.app.client.call("DEL", old.keys.job("repeat:n:1"))
    await give_up_lease(made)
    await read_all(reader(made))
    assert await statuses(made) == ["removed"]
    assert (await made.cron.get(row.id)).last_job_id == "repeat:n:1"


async def test_a_run_whose_job_was_removed_is_not_active_for_ever(settings: MakeSettings, redis_url: str) -> None:
    @make_job(name="work", backoff=fixed(HOUR_MS))
    async def fail(ctx: JobContext) -> None:
        raise RuntimeError("no route")

    made_settings = settings()
    async with site(made_settings, fail) as made, NodePeer(redis_url, made_settings.jobs_prefix) as node:
        row, history = await far_row(made, "work", backoff_ms=HOUR_MS), reader(made)
        async with serving(made.app):
            job_id = await made.slot(row)
            await made.row_says(row, "active", job_id)
            await made.is_in(job_id, "delayed")
        await node.remove(job_id)
        await give_up_lease(made)

        await read_all(history)

        told = await made.cron.get(row.id)
        assert (told.last_status, told.last_job_id) == ("removed", job_id)


async def test_a_trigger_is_found_though_all_its_events_were_trimmed(settings: MakeSettings) -> None:
    """Nobody knew of it: on a busy queue no row ever told of its triggers."""
    async with site(settings(), work) as made:
        row, history = await far_row(made, "work", enabled=False), reader(made)
        triggered = await made.cron.trigger(row.id)
        await read_all(history)
        async with serving(made.app):
            await made.ended(triggered.job_id)
            await trim(made)

            await read_all(history)

        told = await made.cron.get(row.id)
        assert (told.last_status, told.last_job_id) == ("completed", triggered.job_id)
        noted = await made.app.client.call("HKEYS", made.app.queue().keys.cron_history())
        assert sorted(noted) == ["cursor", "leader", "until"], "what is told need not be remembered"


async def test_triggers_that_nobody_reads_of_are_not_noted_without_end(
    made: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in a queue that only Node serves."""
    monkeypatch.setattr("jobqueue.cron.history.MOST_TRIGGERS", 3)
    queue = made.app.queue()

    for number in range(5):
        await keep_history(queue, f"cron.row.{number}")

    assert await made.app.client.call("HLEN", queue.keys.cron_history()) == 3


async def running_rows(made: Site, number: int) -> list[CronJob]:
    """Rows that say that they run, though their jobs are gone."""
    rows = [await made.cron.create(name=f"n{at}", pattern=FAR, handler="work") for at in range(number)]
    await by_sql(made, "UPDATE cron_job SET last_status = 'active', last_job_id = 'repeat:gone:1'")
    await trim(made)
    return rows


async def test_many_rows_that_run_are_looked_at_some_at_a_time(made: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """They were looked at in one go, which for some thousands took longer than a lease lives: nothing was written, and
    the next reader began again.
    """
    monkeypatch.setattr("jobqueue.cron.history.AT_ONCE", 2)
    await running_rows(made, 5)
    history = reader(made)

    assert await history.tick() == BEHIND_REST_S
    assert (await statuses(made)).count("removed") == 2
    assert await history.tick() == BEHIND_REST_S
    assert await history.tick() == REST_S

    assert await statuses(made) == ["removed"] * 5


async def test_looking_goes_on_where_its_last_answer_was_written(made: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jobqueue.cron.history.AT_ONCE", 2)
    monkeypatch.setattr("jobqueue.cron.history.LEAST_AT_ONCE", 2)
    await running_rows(made, 4)
    history = reader(made)
    await history.tick()
    with monkeypatch.context() as late:
        late.setattr("jobqueue.cron.history.SAFE_S", -1.0)
        await history.tick()
    assert (await statuses(made)).count("removed") == 2

    await history.tick()

    assert await statuses(made) == ["removed"] * 4


async def test_what_was_looked_at_on_a_busy_queue_is_done_with(
    settings: MakeSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that is always behind had looked at every slot again that came since it fell behind."""
    monkeypatch.setattr("jobqueue.cron.history.AT_ONCE", 2)
    async with site(settings(), work) as made:
        row, history = await far_row(made, "work"), reader(made)
        job_id = await made.slot(row)
        await read_all(history)
        await history.tick()
        async with serving(made.app):
            await made.ended(job_id)
        await others_follow(made)
        assert await history.tick() == BEHIND_REST_S
        assert await statuses(made) == ["completed"]

        await by_sql(made, "UPDATE cron_job SET last_status = NULL, last_job_id = NULL, last_run_at = NULL")
        await others_follow(made)
        assert await history.tick() == BEHIND_REST_S

        assert await statuses(made) == [None], "it was not looked at again"


async def others_follow(made: Site) -> None:
    """Every event is lost, and there are more of other jobs than one look takes."""
    await trim(made)
    for _ in range(5):
        await emit(made, "active", "7")


RETURNED: Final = {
    Skipped("other").result_json: "skipped",
    Missed(1, 2).result_json: "skipped",
    Superseded("other").result_json: "superseded",
    encode_json({"skipped": True, "of": "its own"}): "completed",
    encode_json({"superseded": False}): "completed",
    encode_json({"skipped": True, "holder": "x" * 600}): "completed",
}


@pytest.mark.parametrize("are_lost", [False, True], ids=["by its events", "looked at"])
@pytest.mark.parametrize(("returned", "told"), RETURNED.items())
async def test_what_workers_write_for_a_job_that_did_no_work_is_known_for_what_it_is(
    made: Site, returned: str, told: str, are_lost: bool
) -> None:
    """The notes of the worker, which outcomes.py makes, and what the scripts take for one must agree."""
    row, history = await far_row(made, "work"), reader(made)
    job_id = await made.slot(row)
    await read_all(history)
    await history.tick()
    await ends_with(made, job_id, returned)
    if are_lost:
        await by_sql(made, f"UPDATE cron_job SET last_status = 'active', last_job_id = '{job_id}'")
        await trim(made)

    await read_all(history)

    assert await statuses(made) == [told]


async def ends_with(made: Site, job_id: str, returned: str) -> None:
    """What the shipped scripts leave of a job that was completed."""
    keys, call = made.app.queue().keys, made.app.client.call
    await call("HSET", keys.job(job_id), "processedOn", 1, "finishedOn", 2, "returnvalue", returned)
    await call("LREM", keys.of("wait"), 0, job_id)
    await call("ZADD", keys.of("completed"), 2, job_id)
    await emit(made, "completed", job_id, returnvalue=returned, prev="active")
