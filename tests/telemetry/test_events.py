"""Events: what listeners are told, and what a slow one costs."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest

from jobqueue import JobContext, fixed, flow, make_job
from jobqueue.events import Aside, Event, EventName
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.worker.harness import Site, at_work


async def work(ctx: JobContext, tries: int) -> None:
    if ctx.job.attempt < tries:
        raise ValueError("not yet")


handler = make_job(work, backoff=fixed(1))


def told(site: Site, name: EventName) -> Sequence[Event]:
    return [event for event in site.told if event.name == name]


async def test_an_event_has_the_job_the_try_the_error_and_the_times(settings: MakeSettings) -> None:
    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler, 2)
        await job.wait(10)
        await eventually(lambda: told(site, "job.completed"))

        [retried], [completed] = told(site, "job.retried"), told(site, "job.completed")
        assert (retried.queue, retried.handler, retried.job_id) == ("jobs", "work", job.job_id)
        assert (retried.attempt, completed.attempt) == (1, 2)
        assert isinstance(retried.error, ValueError)
        assert retried.error.__traceback__ is not None
        assert completed.error is None
        assert retried.job is not None
        assert (retried.job.id, retried.job.envelope.payload) == (job.job_id, 2)
        assert retried.ran_ms is not None
        assert retried.duration_ms is not None
        assert 0 <= retried.ran_ms <= retried.duration_ms + 1
        assert retried.waited_ms is not None
        assert completed.waited_ms is None, "what a second try waited for cannot be told"


async def test_a_payload_is_not_in_what_an_event_prints(settings: MakeSettings) -> None:
    async def keep(ctx: JobContext, payload: str) -> None: ...

    keeping = make_job(keep)
    async with at_work(settings(), keeping) as site:
        job = await site.app.enqueue_job(keeping, "a secret")
        await job.wait(10)
        assert not [event for event in site.told if "a secret" in repr(event)]


async def test_each_job_that_is_enqueued_is_told_once(settings: MakeSettings) -> None:
    async with at_work(settings(), handler) as site:
        one = await site.app.enqueue_job(handler, 1, job_id="one")
        again = await site.app.enqueue_job(handler, 1, job_id="one")
        many = await site.app.enqueue_jobs([(handler, 1)] * 2)
        tree = await site.app.enqueue_flow(flow(handler, 1, children=[flow(handler, 1)]))

        assert not again.created
        wanted = [one.job_id, *(job.job_id for job in many), *(job.job_id for job in tree.walk())]
        assert [event.job_id for event in told(site, "job.enqueued")] == wanted


async def test_a_failure_without_an_exception_is_told_by_its_reason(settings: MakeSettings) -> None:
    async with at_work(settings()) as site:
        job = await site.app.enqueue_job(handler, 1)
        await site.end_of(job.job_id)
        [failed] = await eventually(lambda: told(site, "job.failed"))

    assert failed.error is None
    assert "work" in (failed.detail or "")


async def test_a_listener_that_blocks_holds_up_nothing_where_it_is_called_aside(
    settings: MakeSettings, caplog: pytest.LogCaptureFixture
) -> None:
    go_on, heard = threading.Event(), list[str]()

    def block(event: Event) -> None:
        go_on.wait(10)
        heard.append(event.name)

    aside = Aside(block, most=8)
    async with at_work(settings(), handler) as site:
        site.app.events.subscribe(aside)
        jobs = await site.app.enqueue_jobs([(handler, 1)] * 20)
        assert {(await site.end_of(job.job_id))[0] for job in jobs} == {"completed"}
        assert heard == []

        go_on.set()
        await eventually(lambda: len(heard) >= 9)
        heard.clear()
        await (await site.app.enqueue_job(handler, 1)).wait(10)
        await eventually(lambda: "job.completed" in heard)
        assert "events were dropped" in caplog.text
    aside.close()
    assert heard[-1] == "worker.stopped"


def test_an_error_of_a_listener_aside_is_logged_and_the_next_event_comes(caplog: pytest.LogCaptureFixture) -> None:
    heard: list[str] = []

    def listen(event: Event) -> None:
        heard.append(event.name)
        raise ValueError("broken")

    aside = Aside(listen)
    for _ in range(2):
        aside(Event("redis.lost"))
    aside.close()
    aside.close()

    assert heard == ["redis.lost"] * 2
    assert caplog.text.count("ValueError: broken") == 2


def test_a_listener_that_is_stuck_as_it_is_closed_keeps_nothing_from_those_that_come_later(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The end that was meant for its thread ended the next one, and what came then was lost without a word."""
    go_on, late = threading.Event(), threading.Event()
    heard: list[str] = []

    def listen(event: Event) -> None:
        if event.name == "redis.lost":
            go_on.wait(10)
            late.set()
        heard.append(event.name)

    aside = Aside(listen)
    aside(Event("redis.lost"))
    aside.close(0.05)
    assert "does not return" in caplog.text

    aside(Event("job.failed"))
    aside.close()
    assert heard == ["job.failed"]

    go_on.set()
    assert late.wait(10)


def test_a_thread_that_was_left_behind_with_a_full_queue_takes_it_and_ends() -> None:
    begun, go_on = threading.Event(), threading.Event()
    threads: set[threading.Thread] = set()

    def listen(event: Event) -> None:
        threads.add(threading.current_thread())
        begun.set()
        go_on.wait(10)

    aside = Aside(listen, most=1)
    aside(Event("redis.lost"))
    assert begun.wait(10)
    aside(Event("redis.lost"))
    aside.close(0.05)

    go_on.set()
    [thread] = threads
    thread.join(10)
    assert not thread.is_alive()
