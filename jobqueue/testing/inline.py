"""Inline: one handler run by the test itself, without a queue, with what it is handed in production."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any, Generic, TypedDict, TypeVar, Unpack, cast, overload

from pydantic import JsonValue

from jobqueue import encoding, wire
from jobqueue.app import App
from jobqueue.children import ChildOptions, Children
from jobqueue.context import AbortCause, AbortReason, AbortSignal, CronContext, JobContext, Resources
from jobqueue.enqueue import Enqueuer
from jobqueue.errors import JobFailed
from jobqueue.handler import Handler, Singleton
from jobqueue.job import Enqueued, EnqueueOptions, Job, JobOptions, State
from jobqueue.options import NOTHING_ASKED, check_options
from jobqueue.packing import unpack_entries
from jobqueue.registry import Registry
from jobqueue.settings import DEFAULT_DATABASE_URL, DEFAULT_REDIS_URL, Settings
from jobqueue.testing.errors import KitError
from jobqueue.testing.records import EnqueuedJob, enqueued_job
from jobqueue.wire import NewJob
from jobqueue.worker.outcomes import Failed, encode_result

P = TypeVar("P")

_JOB_ID = "inline"
_fences = itertools.count(1)


class InlineOptions(TypedDict, total=False):
    """What a test may say of a run beside its payload.

    `attempt` is the number of the try, 1 for the first. `cron` is what the run of a cron job is told:
    `CronContext("0 2 * * *", None)`. `children` are those that have ended. `registry` has the handlers that are
    enqueued by name. `settings` has the limits, and the policies of JOBS_CONFIG, that hold.
    """

    resources: Resources
    attempt: int
    cron: CronContext
    children: Children
    registry: Registry
    settings: Settings


class InlineRun(Generic[P]):
    """A run that the test can look at and tell to stop: `run_inline` where more than the result is wanted.

    The payload is validated, becomes JSON and is read again, as on its way through the queue. No Redis is needed: what
    `ctx` enqueues is validated and recorded, and not run; a `session` is not written to. What the handler enqueues by
    the module-level `enqueue_job` goes where that goes.
    Raises: InvalidPayload, PayloadTooLarge; ValueError for an attempt below 1.
    """

    @overload
    def __init__(
        self: InlineRun[None], handler: Handler[None], payload: None = None, **options: Unpack[InlineOptions]
    ) -> None: ...
    @overload
    def __init__(self, handler: Handler[P], payload: P, **options: Unpack[InlineOptions]) -> None: ...
    def __init__(self, handler: Handler[Any], payload: Any = None, **options: Unpack[InlineOptions]) -> None:
        settings = options.get("settings") or _settings()
        app = App(options.get("registry") or Registry([handler]), settings)
        self._handler = handler
        self._most_result_bytes = settings.jobs_max_result_bytes
        self._is_run = False
        self._record = _Record(app.enqueuer, options.get("children") or Children())
        stored = app.enqueuer.encode(handler, payload, NOTHING_ASKED)
        job = _job(stored, _JOB_ID, options.get("attempt", 1))
        self._payload = handler.validate_json(wire.payload_json(stored.data, job.envelope))
        self.context = JobContext(
            job=job,
            signal=AbortSignal(),
            resources=options.get("resources") or Resources(),
            worker_name="inline",
            fence=next(_fences) if isinstance(handler.pattern, Singleton) else None,
            _log=self._record.lines.append,
            _progress=self._record.note_progress,
            _enqueue=self._record.enqueue,
            _family=self._record,
            cron=options.get("cron"),
        )
        """What the handler is handed."""

    async def finish(self) -> Any:
        """Run the handler, once, and return its result as JSON gives it back.

        A `def` handler runs in a thread; one with `run_in="process"` runs here, too. No time limit holds.
        Raises: what the handler raises, `Retry`, `Snooze`, `Discard` and `WaitForChildren` too; JobFailed for a result
        that is no JSON or too large.
        """
        if self._is_run:
            raise KitError("this run is over; make another one for another try")
        self._is_run = True
        arguments = (self.context,) if self._handler.payload is None else (self.context, self._payload)
        if self._handler.is_async:
            returned = await self._handler.function(*arguments)
        else:
            returned = await asyncio.to_thread(self._handler.function, *arguments)
        outcome = encode_result(returned, self._most_result_bytes)
        if isinstance(outcome, Failed):
            raise JobFailed(outcome.reason)
        return encoding.decode_json(outcome.result_json)

    def abort(self, message: str = "cancelled by the test", *, cause: AbortCause = "cancelled") -> None:
        """Tell the run to stop, before it begins or while it is at work; the first reason counts.

        Only its signal is set: a handler that does not look is not cancelled. Concurrency: on the event loop.
        """
        self.context.signal.abort(AbortReason(cause, message))

    @property
    def log_lines(self) -> tuple[str, ...]:
        """What the handler has logged by `ctx.log`."""
        return tuple(self._record.lines)

    @property
    def progress(self) -> tuple[JsonValue, ...]:
        """What it has reported, the latest last."""
        return tuple(self._record.progress)

    @property
    def enqueued(self) -> tuple[EnqueuedJob, ...]:
        """The jobs that it has enqueued by `ctx`, children too."""
        return tuple(self._record.enqueued)


@overload
async def run_inline(handler: Handler[None], payload: None = None, **options: Unpack[InlineOptions]) -> Any: ...
@overload
async def run_inline(handler: Handler[P], payload: P, **options: Unpack[InlineOptions]) -> Any: ...
async def run_inline(handler: Handler[Any], payload: Any = None, **options: Unpack[InlineOptions]) -> Any:
    """Run one handler without a queue and without Redis; its result as JSON gives it back.

    The payload and the result are checked and become JSON as in production. Raises: as `InlineRun` and its `finish`.
    """
    return await InlineRun(handler, payload, **options).finish()


class _Record:
    """What a handler did by its context. Jobs that it enqueued are numbered, as in a queue."""

    def __init__(self, enqueuer: Enqueuer, children: Children) -> None:
        self._enqueuer = enqueuer
        self._children = children
        self.lines: list[str] = []
        self.progress: list[JsonValue] = []
        self.enqueued: list[EnqueuedJob] = []

    def note_progress(self, value: Any) -> None:
        """Raises: ValueError where the value is not JSON."""
        self.progress.append(encoding.decode_json(encoding.encode_json(value)))

    async def enqueue(
        self, handler: Handler[Any] | str, payload: Any, options: EnqueueOptions, created_by: str
    ) -> Enqueued:
        stored = self._enqueuer.encode(handler, payload, check_options(options), created_by)
        job_id = stored.job_id or str(len(self.enqueued) + 1)
        is_new = all((one.queue, one.job_id) != (stored.queue, job_id) for one in self.enqueued)
        if is_new:
            state: State = "delayed" if stored.delay_ms else "prioritized" if stored.priority else "waiting"
            due_ms = stored.timestamp_ms + stored.delay_ms
            self.enqueued.append(enqueued_job(_job(stored, job_id), state, due_ms))
        return Enqueued(job_id, stored.name, stored.queue, is_new)

    async def add_child(
        self, parent: Job, handler: Handler[Any] | str, payload: Any, options: ChildOptions
    ) -> Enqueued:
        asked = cast(EnqueueOptions, {name: value for name, value in options.items() if name != "on_failure"})
        return await self.enqueue(handler, payload, asked, parent.id)

    async def children_of(self, job: Job) -> Children:
        return self._children

    async def remove_pending_children(self, job: Job) -> None:
        """Those that are given have ended, so nothing is pending."""


def _settings() -> Settings:
    """The environment's limits; no file of policies, which may name handlers that this registry does not have."""
    return Settings.load(redis_url=DEFAULT_REDIS_URL, database_url=DEFAULT_DATABASE_URL, jobs_config=None)


def _job(stored: NewJob, job_id: str, attempt: int = 1) -> Job:
    """The job as a worker would read it at its try number `attempt`. Raises: ValueError."""
    if attempt < 1:
        raise ValueError(f"attempt: the first try is number 1, not {attempt}")
    options = JobOptions({**unpack_entries(stored.options), "delay": stored.delay_ms})
    return Job(
        job_id,
        stored.queue,
        stored.name,
        wire.decode_data(stored.data),
        options,
        stored.timestamp_ms,
        priority=stored.priority,
        attempts_made=attempt - 1,
        attempts_started=attempt,
    )
