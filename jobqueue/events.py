"""Events: what happened, told to whoever listens. Logs, traces and metrics are listeners."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from queue import Queue
from typing import Final, Literal

from jobqueue.job import Job
from jobqueue.tracing import Guarded, Tracing

_log = logging.getLogger("jobqueue.events")

EventName = Literal[
    "worker.started",
    "worker.stopping",
    "worker.stopped",
    "job.enqueued",
    "job.started",
    "job.completed",
    "job.superseded",
    "job.skipped",
    "job.retried",
    "job.postponed",
    "job.failed",
    "job.cancelled",
    "job.parked",
    "job.waiting_children",
    "job.released",
    "job.fenced",
    "job.stalled",
    "redis.lost",
]


@dataclass(frozen=True, slots=True)
class Event:
    """One thing that happened in this process.

    `job` is the record that a worker read when it claimed the job, payload included; of an enqueued one there is none.
    `attempt` is the number of the try. `error` is what the try raised that failed or is retried: None where it failed
    without (a payload that is not valid, a handler that is not known), and a stand-in, without a stack, where it was
    raised in another process.
    Units: `duration_ms` is the whole try, from the claim to the record; `ran_ms` the handler's run, None where it did
    not run; `waited_ms` from when the job was due until its first claim, None for later tries, which cannot tell.
    """

    name: EventName
    queue: str | None = None
    handler: str | None = None
    job_id: str | None = None
    detail: str | None = None
    duration_ms: int | None = None
    job: Job | None = None
    attempt: int | None = None
    error: BaseException | None = None
    ran_ms: float | None = None
    waited_ms: int | None = None


Listener = Callable[[Event], None]

MOST_ASIDE: Final = 10_000
"""Events that may wait for a slow listener."""


class Events:
    """Emit and subscribe.

    A listener that raises is logged and passed over: it never touches the job that the event is about.
    """

    def __init__(self) -> None:
        self.listeners: tuple[Listener, ...] = ()
        """Where there are none, an event need not be made."""
        self.tracing: Guarded | None = None
        """Who draws spans, if anybody: asked before something is done, where a listener is told of it afterwards."""

    def trace_with(self, tracing: Tracing | None) -> None:
        """Have spans drawn from now on, or no longer. The last call counts."""
        self.tracing = None if tracing is None else Guarded(tracing)

    def subscribe(self, listener: Listener) -> Callable[[], None]:
        """Call `listener` with every event from now on; returns the function that ends it."""
        self.listeners = (*self.listeners, listener)

        def unsubscribe() -> None:
            self.listeners = tuple(known for known in self.listeners if known is not listener)

        return unsubscribe

    def emit(self, event: Event) -> None:
        for listener in self.listeners:
            try:
                listener(event)
            except BaseException:  # also a SystemExit or CancelledError, which would end the slot that told it
                _log.exception("the listener %r failed at %s", listener, event.name)


class Aside:
    """A listener that is called in a thread of its own, so that one which blocks (it writes to a disk, it sends a
    request) holds up no job: `app.events.subscribe(Aside(listener))`.

    Events that it cannot take in time are dropped, the newest first, and the log says how many. Those that wait when
    the process ends are lost, unless `close` is called.
    Concurrency: one call at a time, but where `close` has left one behind that does not return.
    """

    def __init__(self, listener: Listener, most: int = MOST_ASIDE) -> None:
        self._listener = listener
        self._most = most
        self._begun: tuple[threading.Thread, Queue[Event | None]] | None = None
        """The thread, and a queue that is its alone: what is meant for one that was left behind reaches no other."""
        self._dropped = 0

    def __call__(self, event: Event) -> None:
        if self._begun is None:
            self._begun = self._begin()
        _, waiting = self._begun
        if waiting.qsize() >= self._most:
            self._dropped += 1
            return
        waiting.put(event)
        if self._dropped:
            dropped, self._dropped = self._dropped, 0
            _log.warning("the listener %r is too slow: %d events were dropped", self._listener, dropped)

    def close(self, wait_s: float = 5.0) -> None:
        """Let it take what waits, but not for longer than that; further events begin anew. It blocks."""
        if self._begun is None:
            return
        (thread, waiting), self._begun = self._begun, None
        waiting.put(None)
        thread.join(wait_s)
        if thread.is_alive():
            told = "the listener %r does not return: %d events wait for it, and are lost if the process ends now"
            _log.warning(told, self._listener, waiting.qsize() - 1)

    def _begin(self) -> tuple[threading.Thread, Queue[Event | None]]:
        waiting: Queue[Event | None] = Queue()
        name = f"aside {self._listener!r}"
        thread = threading.Thread(target=self._call_for_each, args=(waiting,), name=name, daemon=True)
        thread.start()
        return thread, waiting

    def _call_for_each(self, waiting: Queue[Event | None]) -> None:
        while (event := waiting.get()) is not None:
            try:
                self._listener(event)
            except BaseException:  # nobody else would hear of it
                _log.exception("the listener %r failed at %s", self._listener, event.name)
