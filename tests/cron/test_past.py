"""What an event makes of what is known of a cron job's last run."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from hypothesis import given
from hypothesis import strategies as st

from jobqueue.cron.past import Kind, Past, Seen

NOON: Final = datetime(2026, 1, 1, 12, tzinfo=UTC)
NOTHING: Final = Past()


def at(second: int) -> datetime:
    return NOON + timedelta(seconds=second)


def seen(kind: Kind, job: str, second: int, *, claimed: int | None = None, running: str = "") -> Seen:
    return Seen(kind, job, "row", at(second), None if claimed is None else at(claimed), running)


def after(*events: Seen, past: Past = NOTHING) -> Past:
    return past.after_all(events)


def test_a_run_is_active_and_then_what_it_ended_as() -> None:
    running = after(seen("active", "1", 1))
    assert running == Past(at(1), "active", "1", None)
    assert after(seen("completed", "1", 2), past=running) == Past(at(1), "completed", "1", at(2))
    assert after(seen("failed", "1", 2), past=running) == Past(at(1), "failed", "1", None)
    assert after(seen("superseded", "1", 2), past=running) == Past(at(1), "superseded", "1", None)
    assert after(seen("removed", "1", 2), past=running) == Past(at(1), "removed", "1", None)


def test_a_failure_does_not_take_the_last_completion_away() -> None:
    past = after(*(seen("active", "1", 1), seen("completed", "1", 2), seen("active", "2", 3), seen("failed", "2", 4)))
    assert past == Past(at(3), "failed", "2", at(2))


def test_a_second_try_is_a_run_that_begins_anew() -> None:
    past = after(seen("active", "1", 1), seen("active", "1", 5))
    assert past == Past(at(5), "active", "1", None)


def test_the_end_of_an_older_run_does_not_hide_a_newer_one() -> None:
    past = after(seen("active", "1", 1), seen("active", "2", 2), seen("completed", "1", 3, claimed=1))
    assert past == Past(at(2), "active", "2", at(3))


def test_the_end_of_a_run_whose_beginning_was_lost_is_told_all_the_same() -> None:
    older = after(seen("active", "1", 1), seen("completed", "1", 2))
    past = after(seen("failed", "2", 9, claimed=5), past=older)
    assert past == Past(at(5), "failed", "2", at(2))


def test_a_skipped_slot_is_no_run() -> None:
    past = after(seen("active", "1", 1), seen("completed", "1", 2), seen("skipped", "2", 3))
    assert past == Past(at(1), "skipped", "1", at(2))
    assert after(seen("skipped", "1", 1)) == Past(None, "skipped", None, None)


def test_a_skipped_slot_does_not_hide_a_run_that_goes_on() -> None:
    running = after(seen("active", "1", 1))
    assert after(seen("skipped", "2", 3, running="1"), past=running) == running


def test_a_slot_whose_claim_was_read_before_it_was_skipped_gives_way_to_the_run_that_goes_on() -> None:
    past = after(seen("active", "1", 1), seen("active", "2", 3), seen("skipped", "2", 4, running="1"))
    assert (past.last_status, past.last_job_id) == ("active", "1")
    assert after(seen("completed", "1", 5), past=past).last_status == "completed"


def test_a_job_that_was_removed_after_its_end_changes_nothing() -> None:
    ended = after(seen("active", "1", 1), seen("completed", "1", 2))
    assert after(seen("removed", "1", 3), past=ended) == ended


def test_an_end_that_the_job_itself_tells_counts_though_the_clock_of_its_worker_is_behind() -> None:
    running = after(seen("active", "1", 5))
    end = seen("completed", "1", 3)
    assert after(end, past=running).last_status == "active", "as an event it would be of an earlier try"
    assert after(end._replace(is_final=True), past=running) == Past(at(5), "completed", "1", at(5))


@st.composite
def stories(draw: st.DrawFn) -> list[Seen]:
    """What jobs of a row may go through, in any mixture: tries, ends, retries by hand, skipped slots."""
    events: list[Seen] = []
    running: dict[str, int] = {}
    for second in range(1, draw(st.integers(1, 12)) + 1):
        job = draw(st.sampled_from("1234"))
        kinds: list[Kind] = ["completed", "failed", "superseded", "active"] if job in running else ["active", "skipped"]
        kind = draw(st.sampled_from(kinds))
        claimed = running.get(job)
        if kind == "active":
            running[job] = second
        elif kind != "skipped":
            del running[job]
        beside = next((other for other in running if other != job), "") if kind == "skipped" else ""
        events.append(seen(kind, job, second, claimed=claimed, running=beside))
    return events


@given(stories(), st.data())
def test_what_is_told_twice_comes_to_the_same(events: list[Seen], data: st.DataObject) -> None:
    """A stretch of events is told again where its writing was not acknowledged, from its first event to its last."""
    first = data.draw(st.integers(0, len(events)))
    known = after(*events)

    assert after(*events[first:], past=known) == known
