"""Subscriptions: the outcome of every try, as it happens, for one job, one handler or one related object."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Final, Literal, Self, cast

from jobqueue import encoding
from jobqueue.errors import ClientClosed, InvalidOption, JobqueueError
from jobqueue.handler import Handler
from jobqueue.job import EnqueueOptions, Related
from jobqueue.matching import OUTCOMES, ByHandler, ByJob, ByRelated, Matched, Matcher, OutcomeState, Selection
from jobqueue.options import check_options
from jobqueue.queue import Queue
from jobqueue.registry import Registry
from jobqueue.stream import EventStreams, Position

BUFFERED: Final = 10_000
"""Outcomes that wait for a slow reader, where nobody asked for another number."""

_BUFFERED_BYTES = 64 << 20


class OutcomesMissed(JobqueueError):
    """Outcomes may be missing before the next one; the subscription goes on."""


@dataclass(frozen=True, slots=True)
class JobOutcome:
    """How one try ended.

    `retried` is a failed try that another follows after `delay_ms`; the others are the job's end, unless somebody
    retries it by hand. `result` is set where it completed (also as superseded or skipped), `failed_reason` where it
    did not. `name` and `attempt` are None where the job was removed before it could be read.
    Units: `at_ms` epoch milliseconds by Redis's clock.
    """

    queue: str
    job_id: str
    name: str | None
    state: OutcomeState
    attempt: int | None
    at_ms: int
    result: Any = None
    failed_reason: str | None = None
    delay_ms: int | None = None

    @property
    def is_final(self) -> bool:
        """True where no try follows by itself."""
        return self.state != "retried"


class Subscription:
    """An async iterator of outcomes; it listens while its block lasts.

    Whatever ends after `async with` was entered is delivered, per job in the order in which it happened. It never ends
    by itself. Concurrency: one event loop; where several tasks iterate, each outcome goes to one of them.
    """

    def __init__(self, selection: Selection, matcher: Matcher, queue: str, most: int) -> None:
        self.selection = selection
        self._matcher = matcher
        self._queue = queue
        self._most = most
        self._state: Literal["new", "open", "left", "closed"] = "new"
        self._since: Position | None = None
        self._waiting: deque[Matched | OutcomesMissed] = deque()
        self._waiting_bytes = 0
        self._overflowed = False
        self._news = asyncio.Event()

    async def __aenter__(self) -> Self:
        """Start to listen. Waits while Redis is away. Raises: ClientClosed; JobqueueError at the second time."""
        if self._state != "new":
            raise JobqueueError("a subscription is entered once; subscribe again for another block")
        self._state = "open"
        try:
            self._start_after(await self._matcher.add(self))
        except BaseException:
            self._leave()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> JobOutcome:
        """Raises: OutcomesMissed, where the gap is, and then goes on; ClientClosed once the app is closed."""
        while not self._waiting:
            if self._state == "new":
                raise JobqueueError("enter the subscription first: async with subscribe(…) as outcomes")
            if self._state == "left":
                raise StopAsyncIteration
            if self._state == "closed":
                raise ClientClosed("the app was closed, so nobody listens for outcomes any more")
            self._news.clear()
            await self._news.wait()
        first = self._waiting.popleft()
        if isinstance(first, OutcomesMissed):
            self._overflowed = False
            raise first
        self._waiting_bytes -= _size(first)
        return _outcome(self._queue, first)

    # What the matcher calls

    def put(self, matched: Matched) -> None:
        is_early = self._since is not None and matched.event.position <= self._since
        if self._state != "open" or self._overflowed or is_early:
            return
        full = len(self._waiting) >= self._most or self._waiting_bytes + _size(matched) > _BUFFERED_BYTES
        if self._waiting and full:
            self._overflowed = True
            self._miss(f"{len(self._waiting)} outcomes were waiting to be read, so later ones were dropped")
            return
        self._waiting.append(matched)
        self._waiting_bytes += _size(matched)
        self._news.set()

    def interrupt(self) -> None:
        self._since = None  # another server's events may be numbered lower
        self._miss("events were trimmed from the stream, or lost with it, before they were read")

    def close(self) -> None:
        if self._state == "open":
            self._state = "closed"
            self._news.set()

    def _miss(self, reason: str) -> None:
        if not (self._waiting and isinstance(self._waiting[-1], OutcomesMissed)):
            self._waiting.append(OutcomesMissed(f"queue {self._queue!r}: {reason}; read the jobs that matter again"))
            self._news.set()

    def _start_after(self, since: Position) -> None:
        """Forget what had come before it was known where to start."""
        self._since = since
        early, self._waiting, self._waiting_bytes = self._waiting, deque(), 0
        for one in early:
            if isinstance(one, OutcomesMissed):
                self._waiting.append(one)
            else:
                self.put(one)

    def _leave(self) -> None:
        self._matcher.remove(self)
        self._state = "left"
        self._waiting.clear()
        self._news.set()


def _size(matched: Matched) -> int:
    return sum(map(len, matched.event.fields.values()))


def _outcome(queue: str, matched: Matched) -> JobOutcome:
    event, name, attempt = matched
    fields, state, delay = event.fields, OUTCOMES[event.kind], event.fields.get("delay", "")
    return JobOutcome(
        queue=queue,
        job_id=event.job_id,
        name=name,
        state=state,
        attempt=attempt,
        at_ms=event.position.at_ms,
        result=encoding.decode_result(fields.get("returnvalue")) if state == "completed" else None,
        failed_reason=None if state == "completed" else fields.get("failedReason", ""),
        delay_ms=int(delay) if state == "retried" and delay.isascii() and delay.isdigit() else None,
    )


class Subscriptions:
    """Makes the subscriptions of an app; those to one queue share its reader."""

    def __init__(self, queue_named: Callable[[str | None], Queue], registry: Registry, streams: EventStreams) -> None:
        self._queue_named = queue_named
        self._registry = registry
        self._streams = streams
        self._matchers: dict[str, Matcher] = {}

    def subscribe(
        self,
        *,
        job_id: str | None,
        handler: Handler[Any] | str | None,
        related: tuple[str, str] | None,
        queue: str | None,
        buffer: int,
    ) -> Subscription:
        """Raises: InvalidOption, UnknownHandler; ClientClosed."""
        _check_one_of(job_id=job_id, handler=handler, related=related)
        _check_buffer(buffer)
        checked = check_options(_given(related, queue))
        known = self._known(handler)
        where = self._queue_named(checked.queue or (None if known is None else known.policy.queue))
        selection = _selection(job_id, known, checked.related)
        if where.name not in self._matchers:
            self._matchers[where.name] = Matcher(where, self._streams.of(where.name))
        return Subscription(selection, self._matchers[where.name], where.name, buffer)

    def _known(self, handler: object) -> Handler[Any] | None:
        if isinstance(handler, str):
            return self._registry.get(handler)
        if handler is not None and not isinstance(handler, Handler):
            raise InvalidOption("handler", f"must be a handler or its name, not {handler!r:.100}; see make_job")
        return None if handler is None else self._registry.current(cast(Any, handler))


def _check_one_of(**selectors: object) -> None:
    given = [name for name, value in selectors.items() if value is not None]
    if len(given) != 1:
        told = " and ".join(given) or "none of them"
        raise InvalidOption(given[-1] if given else "job_id", f"give one of job_id, handler and related, not {told}")


def _check_buffer(buffer: object) -> None:
    if not isinstance(buffer, int) or isinstance(buffer, bool) or buffer < 1:
        raise InvalidOption("buffer", f"must be a whole number of outcomes, at least 1, not {buffer!r:.100}")


def _given(related: tuple[str, str] | None, queue: str | None) -> EnqueueOptions:
    options = EnqueueOptions()
    if related is not None:
        options["related"] = related
    if queue is not None:
        options["queue"] = queue
    return options


def _selection(job_id: object, handler: Handler[Any] | None, related: Related | None) -> Selection:
    if handler is not None:
        return ByHandler(handler.name)
    if related is not None:
        return ByRelated(related)
    if not isinstance(job_id, str) or not job_id:
        raise InvalidOption("job_id", f"must be the id of a job, a text, not {job_id!r:.100}")
    return ByJob(job_id)
