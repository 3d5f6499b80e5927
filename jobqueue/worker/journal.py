"""Journal: what a handler logs, reports and enqueues, sent in order and never lost before the end of its try."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias

from jobqueue import encoding
from jobqueue.context import EnqueueFunction
from jobqueue.errors import JobCancelled
from jobqueue.handler import Handler
from jobqueue.job import DAY_S, Enqueued, EnqueueOptions
from jobqueue.keys import placed
from jobqueue.queue import Queue
from jobqueue.redis.retry import until_answered
from jobqueue.scripts import own
from jobqueue.worker.backlog import Backlog


@dataclass(frozen=True, slots=True)
class _Line:
    text: str


@dataclass(frozen=True, slots=True)
class _Progress:
    value_json: str


@dataclass(frozen=True, slots=True)
class _Created:
    place: str


_log = logging.getLogger("jobqueue.worker")

_Entry: TypeAlias = _Line | _Progress | _Created
_BATCH = 100

MAX_LINE = 50_000
MAX_PROGRESS = 1_000_000
MAX_CREATED: Final = 1_000
"""Of the jobs that a handler enqueues the last ones are noted."""
MAX_CREATORS: Final = 10_000
"""Of how many jobs of a queue that is noted: as many as completed jobs are kept, if nobody says otherwise."""
MAX_SINCE: Final = 100_000
"""A job is forgotten as a creator when others have created so many, so that wide ones do not fill Redis."""
KEEP_CREATED_S: Final = 7 * DAY_S


class Journal:
    """The log lines and progress of one try, and the jobs that its handler enqueues.

    They are written only while the job is held under this try's token: what comes later would be taken for the next
    try's.
    Concurrency: `log` and `progress` from any thread. Entries leave in batches, in order; after a lost connection a
    batch is sent again, so a line may appear twice, but none is lost. What the job created stays noted for
    KEEP_CREATED_S, or until MAX_CREATORS others, or others with MAX_SINCE jobs, have created some.
    """

    __slots__ = (
        "_closed",
        "_entries",
        "_has_lost",
        "_job_id",
        "_keep_logs",
        "_loop",
        "_on_loss",
        "_queue",
        "_sender",
        "_token",
    )

    def __init__(
        self, queue: Queue, job_id: str, token: str, keep_logs: int, on_loss: Callable[[Exception], None]
    ) -> None:
        self._queue = queue
        self._job_id = job_id
        self._token = token
        self._keep_logs = keep_logs
        self._on_loss = on_loss
        self._entries = Backlog[_Entry](keep_logs)
        self._loop = asyncio.get_running_loop()
        self._sender: asyncio.Task[None] | None = None
        self._closed = False
        self._has_lost = False

    def log(self, message: str) -> None:
        text = str(message)
        shown = text if len(text) <= MAX_LINE else f"{text[:MAX_LINE]}… ({len(text)} characters)"
        self._append(_Line(shown.encode(errors="replace").decode()), len(shown))

    def progress(self, value: Any) -> None:
        """Raises: ValueError where the value is not JSON, or too much of it."""
        value_json = encoding.encode_json(value)
        if len(value_json) > MAX_PROGRESS:
            raise ValueError(f"progress is {len(value_json)} characters of JSON, the limit is {MAX_PROGRESS}")
        self._append(_Progress(value_json), len(value_json))

    def noting(self, enqueue: EnqueueFunction) -> EnqueueFunction:
        """The same while the try lasts, but that what it has stored is noted as created by this job."""

        async def enqueue_and_note(
            handler: Handler[Any] | str, payload: Any, options: EnqueueOptions, created_by: str
        ) -> Enqueued:
            if self._closed:
                raise JobCancelled("the try is over")
            enqueued = await enqueue(handler, payload, options, created_by)
            if enqueued.created:
                place = placed(enqueued.queue, enqueued.job_id)
                self._append(_Created(place), len(place))
            return enqueued

        return enqueue_and_note

    def close(self) -> None:
        """Take no more: the try is over."""
        self._closed = True

    def is_closed(self) -> bool:
        return self._closed

    @property
    def is_sending(self) -> bool:
        """True while something that was written is not in Redis yet."""
        return self._sender is not None

    async def sent(self) -> None:
        """Wait until everything written so far is in Redis."""
        while self._sender is not None:
            await asyncio.shield(self._sender)

    def _append(self, entry: _Entry, characters: int) -> None:
        if self._closed:
            return
        self._entries.put(entry, characters)
        if _on_loop(self._loop):
            self._start_sending()
        else:
            self._loop.call_soon_threadsafe(self._start_sending)

    def _start_sending(self) -> None:
        if self._sender is None and self._entries:
            self._sender = self._loop.create_task(self._send_all())

    async def _send_all(self) -> None:
        try:
            while self._entries:
                batch = self._entries.take(_BATCH)
                await until_answered(partial(self._send, batch), self._on_loss)
        except Exception:
            _log.exception("lines of job %s's log were refused", self._job_id)
        finally:
            self._sender = None
            self._tell_dropped()

    def _tell_dropped(self) -> None:
        dropped, self._entries.dropped = self._entries.dropped, 0
        if dropped:
            told = "job %s wrote faster than Redis took it: the oldest %d lines and reports that waited were dropped"
            _log.warning(told, self._job_id, dropped)

    async def _send(self, batch: list[_Entry]) -> None:
        is_held = all(await asyncio.gather(*map(self._send_one, batch)))
        if not (is_held or self._has_lost):
            self._has_lost = True
            _log.warning("job %s is not this run's any more: what it still logs and reports is dropped", self._job_id)

    async def _send_one(self, entry: _Entry) -> bool:
        """False where the job is not this run's any more, and nothing was written."""
        match entry:
            case _Line(text):
                return await self._queue.add_log(self._job_id, text, self._keep_logs, self._token)
            case _Progress(value_json):
                return await self._queue.set_progress(self._job_id, value_json, self._token)
            case _Created(place):
                return await self._note_created(place)

    async def _note_created(self, place: str) -> bool:
        keys = self._queue.keys
        bounds = (MAX_CREATED, MAX_CREATORS, MAX_SINCE, KEEP_CREATED_S * 1000)
        noted = (keys.created(self._job_id), keys.creators(), keys.job_lock(self._job_id))
        args = (keys.base, self._job_id, place, *bounds, self._token)
        return bool(await self._queue.client.run(own("noteCreated"), noted, args))


def _on_loop(loop: asyncio.AbstractEventLoop) -> bool:
    """True in the loop's own thread."""
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False
