"""Draining: a real worker at work until nothing is left that may start, and what it has run."""

from __future__ import annotations

import asyncio
import time
from typing import Final, get_args

from jobqueue.app import App
from jobqueue.children import read_children
from jobqueue.database import Database
from jobqueue.errors import JobFailed, JobNotFound, RedisError
from jobqueue.events import Event
from jobqueue.testing.background import follow_cron, has_no_rows, until
from jobqueue.testing.clock import HandClock
from jobqueue.testing.errors import DrainTimeout
from jobqueue.testing.reading import due_ms, jobs_of, may_start, queues_of
from jobqueue.testing.records import FAILURES, Drained, EnqueuedJob, JobRun, Outcome
from jobqueue.testing.telling import described
from jobqueue.worker.recorder import CHILDREN_ENDED_MS
from jobqueue.worker.worker import Worker

NAME: Final = "drain"
"""The name of the worker."""
_MOST_NAMED: Final = 10
_OUTCOMES: Final[dict[str, Outcome]] = {f"job.{outcome}": outcome for outcome in get_args(Outcome)}


class Draining:
    """One drain: start a worker, watch it until it has nothing to do, stop it, say what it ran."""

    def __init__(self, app: App, database: Database, clock: HandClock) -> None:
        self._app = app
        self._database = database
        self._clock = clock
        self._ended: list[Event] = []
        self._began_s: dict[tuple[str | None, str | None], float] = {}
        self._postponed: list[Event] = []
        self._told = ""
        self._started_s = time.monotonic()

    async def run(self, timeout_s: float) -> Drained:
        """Raises: DrainTimeout after `timeout_s` seconds; RedisUnavailable; DatabaseUnavailable; SettingsError."""
        await self._app.client.call("PING")  # a worker would wait for Redis as long as it takes
        await follow_cron(self._app, self._database)
        unsubscribe = self._app.events.subscribe(self._note)
        limit = asyncio.timeout(timeout_s)
        try:
            async with limit:
                await self._serve_all()
        except TimeoutError:
            if not limit.expired():
                raise
            raise DrainTimeout(self._told) from None
        finally:
            unsubscribe()
        return Drained(tuple([await self._run_of(event) for event in self._ended]))

    async def _serve_all(self) -> None:
        """A job may be added to a queue that there was not when the worker began: then another one does."""
        served: tuple[str, ...] = ()
        while served != (names := await queues_of(self._app)):
            served = names
            await self._serve(names)

    async def _serve(self, names: tuple[str, ...]) -> None:
        worker = Worker(self._app, queues=names, name=NAME)
        try:
            await worker.start()
            await until(lambda: self._is_idle(names))
            while await self._let_parents_look_again():
                await until(lambda: self._is_idle(names))
        except BaseException:
            self._told = await self._unfinished()  # before what runs is put back
            worker.request_stop()
            worker.request_stop()  # twice: no patience with it
            raise
        finally:
            await worker.stop()

    async def _is_idle(self, names: tuple[str, ...]) -> bool:
        """Nothing runs or may start, also not by way of the outbox, before and after that was asked."""
        ended = len(self._ended)
        return (
            await self._has_nothing_to_start(names)
            and await has_no_rows(self._app, self._database)
            and await self._has_nothing_to_start(names)
            and ended == len(self._ended)
        )

    async def _has_nothing_to_start(self, names: tuple[str, ...]) -> bool:
        now_ms = self._clock.now_ms()
        return not any([await may_start(self._app.queue(name), now_ms) for name in names])

    async def _let_parents_look_again(self) -> bool:
        """Promote a parent whose last child ended just before it began to wait: a worker puts it off for a moment.
        Whether that happens is chance, so what a test sees must not depend on it.
        """
        found, postponed, self._postponed = False, self._postponed, []
        for event in postponed:
            queue, job_id = self._app.queue(event.queue), event.job_id or ""
            score = await queue.client.call("ZSCORE", queue.keys.of("delayed"), job_id)
            wait_ms = 0 if score is None else due_ms(score) - self._clock.now_ms()
            if wait_ms == CHILDREN_ENDED_MS and await read_children(queue, job_id):
                await self._app.control.promote(job_id, queue.name)
                found = True
        return found

    # Telling

    def _note(self, event: Event) -> None:
        which = event.queue, event.job_id
        if event.name == "job.started":
            self._began_s[which] = time.monotonic()
        elif event.name in _OUTCOMES:
            self._began_s.pop(which, None)
            self._ended.append(event)
            if event.name == "job.postponed":
                self._postponed.append(event)

    async def _run_of(self, event: Event) -> JobRun:
        queue, job_id, outcome = event.queue or "", event.job_id or "", _OUTCOMES[event.name]
        result = None
        if outcome == "completed":
            try:
                result = (await self._app.queue(queue).job(job_id)).result
            except JobNotFound:  # its handler keeps none
                result = None
        return JobRun(job_id, event.handler or "", queue, outcome, event.detail, result, event.error)

    async def _unfinished(self) -> str:
        """What is told of a drain that was not done in time."""
        took_s = time.monotonic() - self._started_s
        said = [f"not drained after {took_s:.1f} s, in which {len(self._ended)} tries have ended"]
        try:
            queues = [self._app.queue(name) for name in await queues_of(self._app)]
            jobs = [job for queue in queues for job in await jobs_of(queue)]
        except RedisError as error:
            return "\n".join([*said, f"what is left cannot be told: {error}"])
        waiting = [job for job in jobs if job.state in ("waiting", "prioritized")]
        said += [self._running(job) for job in jobs if job.state == "active"]
        said += [f"  waits: {described(job)}" for job in waiting[:_MOST_NAMED]]
        said += [f"  and {len(waiting) - _MOST_NAMED} more"] if len(waiting) > _MOST_NAMED else []
        return "\n".join(said)

    def _running(self, job: EnqueuedJob) -> str:
        began_s = self._began_s.get((job.queue, job.job_id))
        since = "" if began_s is None else f" for {time.monotonic() - began_s:.1f} s"
        return f"  runs{since}: {described(job)}"


def raise_failure(drained: Drained) -> None:
    """Raise what the first handler that failed has raised; of the others a note tells.

    Raises: that; JobFailed with the reason where nothing was raised here, or what was would end more than a test.
    """
    failures = [run for run in drained.runs if run.outcome in FAILURES]
    if not failures:
        return
    first, *others = failures
    error = first.error
    if not isinstance(error, Exception):
        error = JobFailed(first.reason)
    error.add_note(f"raised by {_named(first)}")
    for run in others:
        error.add_note(f"and {_named(run)}: {run.reason}")
    raise error


def _named(run: JobRun) -> str:
    return f"{run.name} {run.job_id}, which {'failed' if run.outcome == 'failed' else 'is tried again'}"
