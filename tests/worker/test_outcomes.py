"""What becomes of a job, decided from how its handler ended and why it was told to stop: pure values."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jobqueue import JobCancelled, make_job
from jobqueue.context import AbortCause, AbortReason, JobContext
from jobqueue.errors import Discard, Retry, Snooze, WaitForChildren
from jobqueue.handler import Handler
from jobqueue.job import Envelope, Job, JobOptions
from jobqueue.worker.outcomes import (
    Cancelled,
    Completed,
    Ending,
    Failed,
    Outcome,
    Postponed,
    Raised,
    Released,
    Retried,
    Returned,
    Superseded,
    WaitingChildren,
    decide,
)


async def work(ctx: JobContext) -> None: ...


BACKOFF_MS = 70


def decided(ending: Ending, why: AbortReason | None = None, attempts_made: int = 0, **policy: Any) -> Outcome:
    """The outcome of a job of three attempts whose backoff is 70 ms."""
    handler: Handler[None] = make_job(work, **policy)
    options = JobOptions({"attempts": 3, "backoff": {"type": "fixed", "delay": BACKOFF_MS}})
    job = Job("1", "jobs", "work", Envelope(None), options, 0, attempts_made=attempts_made)
    return decide(job, handler, ending, why, max_result_bytes=1_000)


def raised(error: BaseException) -> Raised:
    """An error as a handler raises it."""
    try:
        raise error
    except BaseException as caught:
        return Raised(caught)


# What the handler asked for


def test_a_retry_waits_as_long_as_it_says() -> None:
    outcome = decided(raised(Retry(1_234)))

    assert isinstance(outcome, Retried)
    assert (outcome.delay_ms, outcome.reason) == (1_234, "the handler asked for another try")
    assert "raise error" in outcome.trace


@pytest.mark.parametrize("delay_ms", [0, 5])
def test_a_retry_may_be_sooner_than_the_backoff(delay_ms: int) -> None:
    outcome = decided(raised(Retry(delay_ms)))

    assert isinstance(outcome, Retried)
    assert outcome.delay_ms == delay_ms


def test_a_retry_without_a_delay_waits_for_the_backoff() -> None:
    outcome = decided(raised(Retry()))

    assert isinstance(outcome, Retried)
    assert outcome.delay_ms == BACKOFF_MS


def test_a_retry_uses_an_attempt_and_fails_when_none_is_left() -> None:
    assert isinstance(decided(raised(Retry(5)), attempts_made=1), Retried)
    assert isinstance(decided(raised(Retry(5)), attempts_made=2), Failed)


def test_a_retry_is_asked_for_even_where_every_error_is_unrecoverable() -> None:
    assert isinstance(decided(raised(Retry(5)), unrecoverable=(Exception,)), Retried)
    assert isinstance(decided(raised(ValueError()), unrecoverable=(Exception,)), Failed)


@pytest.mark.parametrize("attempts_made", [0, 2, 500])
def test_a_snooze_uses_no_attempt_not_even_the_last(attempts_made: int) -> None:
    assert decided(raised(Snooze(1_234)), attempts_made=attempts_made) == Postponed(1_234)


def test_a_discarded_job_fails_at_once_with_its_reason() -> None:
    outcome = decided(raised(Discard("the order was deleted")))

    assert isinstance(outcome, Failed)
    assert outcome.reason == "the order was deleted"


@pytest.mark.parametrize("attempts_made", [0, 2])
def test_waiting_for_children_is_no_failure(attempts_made: int) -> None:
    assert decided(raised(WaitForChildren()), attempts_made=attempts_made) == WaitingChildren()


# Why it was told to stop

ENDINGS: list[Ending] = [
    Returned({"done": True}),
    *map(raised, [ValueError("no route"), asyncio.CancelledError(), JobCancelled("told to stop")]),
    *map(raised, [Retry(5), Snooze(5), Discard("gone"), WaitForChildren()]),
]
ENDING_IDS = [type(e.error).__name__ if isinstance(e, Raised) else "returned" for e in ENDINGS]


@pytest.mark.parametrize("ending", ENDINGS, ids=ENDING_IDS)
def test_a_cancelled_job_fails_as_cancelled_whatever_its_handler_made_of_it(ending: Ending) -> None:
    outcome = decided(ending, AbortReason("cancelled", "the order was deleted"))

    assert outcome == Cancelled("the order was deleted")
    assert isinstance(outcome, Cancelled)
    assert outcome.failed_reason == "Cancelled: the order was deleted"


@pytest.mark.parametrize("ending", ENDINGS, ids=ENDING_IDS)
def test_a_superseded_job_completes_as_such_whatever_its_handler_made_of_it(ending: Ending) -> None:
    assert decided(ending, AbortReason("superseded", "superseded by job 9", "9")) == Superseded("9")


@pytest.mark.parametrize("ending", ENDINGS, ids=ENDING_IDS)
@pytest.mark.parametrize("cause", ["timeout", "lock_lost"])
def test_a_try_that_was_told_to_stop_counts_as_failed_for_that_reason_whatever_its_handler_made_of_it(
    cause: AbortCause, ending: Ending
) -> None:
    outcome = decided(ending, AbortReason(cause, "timed out after 5 ms"))

    assert isinstance(outcome, Retried)
    assert (outcome.delay_ms, outcome.reason) == (BACKOFF_MS, "timed out after 5 ms")


@pytest.mark.parametrize(
    ("ending", "outcome"),
    [
        (Returned(5), Completed("5")),
        (raised(Snooze(5)), Postponed(5)),
        (raised(WaitForChildren()), WaitingChildren()),
        (raised(JobCancelled("told to stop")), Released()),
        (raised(asyncio.CancelledError()), Released()),
    ],
)
def test_when_the_worker_stops_a_try_that_came_to_an_end_of_its_own_counts(ending: Ending, outcome: Outcome) -> None:
    assert decided(ending, AbortReason("shutdown", "the worker stops")) == outcome


def test_a_reason_without_end_is_cut() -> None:
    cancelled = Cancelled("x" * 200_000)

    assert len(cancelled.failed_reason) < 11_000
    assert cancelled.failed_reason.startswith("Cancelled: xxx")
