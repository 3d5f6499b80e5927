"""What the audit log keeps of bulk acts, and what does not get into it."""

from __future__ import annotations

import pytest

from jobqueue.app import App
from jobqueue.errors import InvalidOption, JobNotFound
from jobqueue.inspector import Inspector, JobFilter, Operator
from jobqueue.inspector.auditing import KEEP_ENTRIES, KEEP_MS, MAX_DETAILS, MAX_TEXT
from jobqueue.inspector.outcomes import filter_of, outcome_of, shown_filter
from jobqueue.job import Related
from jobqueue.scripts import own
from tests.board.support import heartbeat, note
from tests.inspector.support import entries_of

WANTED = JobFilter("n", Related("order", "a:7"), "ann", "k", 1, 2, "text", cancelled=True)


async def test_the_entry_of_a_bulk_act_tells_what_came_of_it(
    app: App, operator: Operator, inspector: Inspector
) -> None:
    job = await app.enqueue_job(heartbeat)
    done = await operator.apply("jobs", "remove", [job.job_id, "token-1", "nope"])
    entry = await inspector.audit_entry(done.entry or "")
    assert entry is not None
    assert outcome_of(entry) == done
    assert done.problems.keys() == {"token-1", "nope"}


async def test_problems_that_are_too_long_for_an_entry_leave_the_last_ones_out(
    app: App, operator: Operator, inspector: Inspector
) -> None:
    await app.queue().write_meta()
    done = await operator.apply("jobs", "remove", [f"{number}-{'x' * 1_000}" for number in range(20)])
    entry = await inspector.audit_entry(done.entry or "")
    assert entry is not None
    outcome = outcome_of(entry)
    assert outcome is not None
    assert (outcome.refused, 0 < len(outcome.problems) < 20) == (20, True)
    assert len(str(entry.details)) < MAX_DETAILS + MAX_TEXT


@pytest.mark.parametrize("wanted", [WANTED, JobFilter(), JobFilter(cancelled=False)])
def test_a_filter_comes_back_as_it_was(wanted: JobFilter) -> None:
    assert filter_of({"state": "failed", **shown_filter(wanted)}) == wanted


@pytest.mark.parametrize("text", ["x" * MAX_TEXT, "********", "a\ufffdb"])
def test_a_filter_that_was_cut_or_masked_does_not_come_back(text: str) -> None:
    assert filter_of(shown_filter(JobFilter(text=text))) is None


async def test_an_entry_that_is_gone_or_none_is_none(app: App, inspector: Inspector) -> None:
    await app.queue().write_meta()
    for entry_id in ("", "1-1:jobs", "1-1:nobody", "x", "99999999999999999999999-1:jobs"):
        assert await inspector.audit_entry(entry_id) is None
    with pytest.raises(InvalidOption):
        await inspector.audit_entry("1-1:a b\n")


async def test_acts_on_jobs_that_are_not_there_push_nothing_out(
    app: App, operator: Operator, inspector: Inspector, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", logger="jobqueue.audit")
    await operator.pause("jobs")
    for _ in range(3):
        with pytest.raises(JobNotFound):
            await operator.retry("jobs", "nope")
    assert [entry.action for entry in await entries_of(inspector)] == ["pause"]
    assert caplog.text.count("audit: retry nope in jobs by alice: refused") == 3


async def test_the_end_of_an_act_whose_begin_was_pushed_out_is_kept(
    app: App, operator: Operator, inspector: Inspector
) -> None:
    async with operator.audited("change", "jobs", "1"):
        await app.client.call("XTRIM", app.queue().keys.audit(), "MAXLEN", 0)
    [entry] = await entries_of(inspector)
    assert (entry.action, entry.target, entry.outcome) == ("change", "1", "done")


async def test_an_end_that_is_written_twice_is_kept_once(app: App) -> None:
    key = app.queue().keys.audit()
    begun = await app.client.call("XADD", key, "*", "actor", "a")
    asked = [begun, KEEP_ENTRIES, KEEP_MS, "actor", "a", "began", begun, "outcome", "done"]
    first, second = [await app.client.run(own("writeAudit"), [key], asked) for _ in range(2)]
    assert first == second
    assert await app.client.call("XLEN", key) == 1


async def test_an_enqueue_that_is_refused_leaves_nothing_of_a_queue_that_does_not_exist(
    app: App, operator: Operator, inspector: Inspector
) -> None:
    with pytest.raises(InvalidOption):
        await operator.enqueue("heartbeat", None, {"queue": "newqueue", "job_id": "a\nb"})
    assert await app.client.call("KEYS", f"{app.settings.jobs_prefix}:newqueue:*") == []
    [entry] = await entries_of(inspector)
    assert dict(entry.details) == {"handler": "heartbeat", "queue": "newqueue"}


async def test_an_enqueue_is_noted_with_the_queue_that_it_goes_to(
    app: App, operator: Operator, inspector: Inspector
) -> None:
    await app.enqueue_job(note, {}, queue="aside")
    await operator.enqueue("heartbeat", None, {"queue": "aside"})
    [entry] = await entries_of(inspector, "aside")
    assert (entry.action, entry.target, dict(entry.details)) == ("enqueue", "2", {"handler": "heartbeat"})
