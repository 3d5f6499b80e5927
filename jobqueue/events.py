"""Events: what happened, told to whoever listens. Logs, traces and metrics are listeners."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

_log = logging.getLogger("jobqueue.events")

EventName = Literal[
    "worker.started",
    "worker.stopping",
    "worker.stopped",
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
    """One thing that happened in this process."""

    name: EventName
    queue: str | None = None
    handler: str | None = None
    job_id: str | None = None
    detail: str | None = None
    duration_ms: int | None = None


Listener = Callable[[Event], None]


class Events:
    """Emit and subscribe.

    A listener that raises is logged and passed over: it never touches the job that the event is about.
    """

    def __init__(self) -> None:
        self.listeners: tuple[Listener, ...] = ()
        """Where there are none, an event need not be made."""

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
