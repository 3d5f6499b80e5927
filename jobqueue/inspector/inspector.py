"""Inspector: reads queues and jobs, and acts on them. A facade: each room beside it does one thing."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Mapping, Sequence

from jobqueue.app import App
from jobqueue.database import Database
from jobqueue.inspector.acting import Operator
from jobqueue.inspector.audit import Actor, AuditEntry, AuditPage, AuditTrail
from jobqueue.inspector.family import FamilyTree
from jobqueue.inspector.finding import find_job
from jobqueue.inspector.gates import gates_of
from jobqueue.inspector.lists import Lists
from jobqueue.inspector.outbox import OutboxJob, OutboxReader, OutboxView
from jobqueue.inspector.queues import Queues
from jobqueue.inspector.reading import Reader
from jobqueue.inspector.serving import Unserved, unserved_of, worker_counts
from jobqueue.inspector.statistics import (
    Point,
    Span,
    Statistics,
    read_handlers,
    read_oldest_waiting,
    read_statistics,
)
from jobqueue.inspector.views import (
    EVERYTHING,
    MAX_LIMIT,
    Family,
    FoundJobs,
    Gate,
    JobFilter,
    JobList,
    JobView,
    QueueView,
)
from jobqueue.inspector.workers import WorkerView, read_workers
from jobqueue.job import State
from jobqueue.outbox.shelf import RowState, ShelfRow
from jobqueue.queue import Queue
from jobqueue.statistics import MAX_HANDLERS


class Inspector:
    """Looks into the queues of an app and acts on their jobs.

    Raises, from every method: RedisUnavailable and its kin; QueueVersionError for a queue that holds BullMQ 5 data;
    InvalidOption for a queue's name that cannot be one.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._reader = Reader(app)
        self._queues = Queues(app, self._reader)
        self._lists = Lists(self._reader)
        self._family = FamilyTree(app)
        self._trail = AuditTrail(app)
        self._outbox = OutboxReader(app)

    async def ping(self) -> None:
        """Returns when Redis has answered."""
        await self._app.client.call("PING")

    # Queues

    async def queue_names(self) -> tuple[str, ...]:
        """The queues of the registry's handlers first, then the others that Redis knows under the prefix, by name.

        The search for others is bounded: in a very large Redis it goes on with each call, so a queue may appear late.
        """
        return await self._queues.names()

    async def queues(self, names: Sequence[str] | None = None) -> tuple[QueueView, ...]:
        """These queues, in this order; those of `queue_names` where none are named."""
        return tuple(await asyncio.gather(*map(self._queues.view, await self._or_all(names))))

    async def queue(self, name: str) -> QueueView:
        """One queue; a name that nobody uses has no jobs."""
        return await self._queues.view(name)

    async def has_queue(self, name: str) -> bool:
        """True for the queues that `queues` lists, or would when it had looked everywhere."""
        return await self._queues.exists(name)

    async def check_version(self, queue: str) -> None:
        """Raises: QueueVersionError."""
        await self._reader.queue(queue).check_version()

    async def gates(self, queue: str, limit: int = 50) -> tuple[Gate, ...]:
        """The order keys and limits before which jobs are parked, those with the most first.

        Of very many those are looked at whose last repair is longest ago. `limit` is clamped to 1..MAX_LIMIT.
        """
        await self.check_version(queue)
        return await gates_of(self._reader.queue(queue), min(max(limit, 1), MAX_LIMIT))

    # Jobs

    async def jobs(
        self,
        queue: str,
        state: State | None,
        offset: int = 0,
        limit: int = 50,
        *,
        wanted: JobFilter = EVERYTHING,
        scan_from: int = 0,
    ) -> JobList:
        """The jobs in one state, or with None in all, newest first: finished ones by finish time, others by the time
        of enqueueing.

        Past MAX_SORTED unfinished jobs the order is the queue's own: the last added first; delayed ones by their run
        time, prioritized ones by rank, last first. The list of all states reaches MAX_SORTED jobs far. `limit` is
        clamped to 1..MAX_LIMIT, a negative offset to 0.

        A time range of finished jobs is exact. Any other filter looks at the last MAX_LOOKED_AT jobs, at fewer where
        their data is large or where very many match; `total` is then None, and `scan_from=scanned_to` looks at those
        behind them, `offset` counted anew. Where jobs were added meanwhile some may be seen twice.
        Raises: InvalidOption for a state that is none of STATES, and for `cancelled` with any other than failed.
        """
        return await self._lists.page(self._reader.queue(queue), state, offset, limit, wanted, scan_from)

    async def job(self, queue: str, job_id: str) -> JobView:
        """One job with its log. Raises: JobNotFound."""
        opened = self._reader.queue(queue)
        await opened.check_version()
        return await self._reader.job(opened, job_id)

    async def find(self, text: str) -> FoundJobs:
        """The jobs that have exactly this id, in all queues of `queue_names`."""
        return await find_job(self._app, await self.queue_names(), text.strip())

    async def family(self, queue: str, job_id: str) -> Family:
        """A job's creator, what it created, and the flow that it is in. Raises: JobNotFound.

        The creator is a job of the same queue, or of another one of the registry's that is known to have enqueued it.
        """
        await self.check_version(queue)
        return await self._family.of(queue, job_id)

    async def enqueued_at_ms(self, queue: str, job_id: str) -> int | None:
        """When the job was enqueued; None where it is gone already."""
        return await self._reader.enqueued_at_ms(self._reader.queue(queue), job_id)

    # The outbox

    async def outbox(self, database: Database) -> OutboxView:
        """Which queues have jobs on their way to Redis, or overflow. Raises: DatabaseUnavailable.

        Where Redis is away it tells what the table does.
        """
        return await self._outbox.view(database)

    async def outbox_page(
        self, database: Database, queue: str, state: RowState, after: str | None = None, limit: int = 50
    ) -> tuple[tuple[OutboxJob, ...], str | None]:
        """Some rows of a queue, and what to pass as `after` to see those that follow; None at the end.

        Raises: DatabaseUnavailable; InvalidOption for an `after` that no page gave.
        """
        page = await self._outbox.shelf(database).page(queue, state, after, limit)
        return tuple(map(self._outbox.shown, page.rows)), page.next

    async def outbox_row(self, database: Database, row_id: int) -> OutboxJob:
        """Raises: RowNotFound; DatabaseUnavailable."""
        return self._outbox.shown(await self._outbox.shelf(database).row(row_id))

    def shown_row(self, row: ShelfRow) -> OutboxJob:
        """A row as it was read, fit to be shown."""
        return self._outbox.shown(row)

    async def overflowing(self, names: Sequence[str]) -> Mapping[str, int]:
        """Which of these queues overflow, and when the last job found them full (epoch ms)."""
        return await self._outbox.overflowing(names)

    # Figures

    async def statistics(self, queue: str, span: Span, handler: str | None = None) -> Statistics:
        """Throughput and latency of a queue, or of one of its handlers, over a span of time up to now."""
        await self.check_version(queue)
        return await read_statistics(self._reader.queue(queue), span, handler)

    async def handler_statistics(
        self, queue: str, span: Span, *, names: Collection[str] | None = None, most: int = MAX_HANDLERS
    ) -> Mapping[str, Point]:
        """Throughput and latency of handlers that have any, over a span of time up to now, the busiest first.

        Of the named ones, else of the `most` busiest: ask for those alone that are shown.
        """
        await self.check_version(queue)
        return await read_handlers(self._reader.queue(queue), span, names, most)

    async def oldest_waiting(self, queue: str) -> Mapping[str, int]:
        """Handler -> epoch ms since when its oldest job could have run, among the jobs that run next."""
        await self.check_version(queue)
        return await read_oldest_waiting(self._reader.queue(queue))

    async def workers(self, queue: str | None = None) -> tuple[WorkerView, ...]:
        """Who serves a queue, or those of `queue_names`, by name."""
        return await read_workers(self._app.client, await self._opened(None if queue is None else (queue,)))

    async def worker_counts(self, names: Sequence[str]) -> Mapping[str, int]:
        """How many workers serve each of these queues; what they run is not looked at."""
        return await worker_counts(self._app.client, await self._opened(names))

    async def unserved(self, limit: int = 20) -> Unserved:
        """The queues of `queue_names` with unfinished jobs and no worker. One that is refused is none of them."""
        found = await unserved_of(self._app.client, await self._opened())
        shown = await self.queues([one.name for one in found[:limit]])
        refused = {one.name for one in shown if one.refused}
        listed = tuple(one for one in found[:limit] if one.name not in refused)
        return Unserved(listed, max(len(found) - limit, 0))

    async def _opened(self, names: Sequence[str] | None = None) -> list[Queue]:
        return [self._reader.queue(name) for name in await self._or_all(names)]

    async def _or_all(self, names: Sequence[str] | None) -> Sequence[str]:
        return await self.queue_names() if names is None else names

    # Acts

    def acting_as(self, actor: Actor) -> Operator:
        """Who changes queues and jobs in somebody's name. Every act is in the audit log."""
        return Operator(self._app, self._reader, self.has_queue, actor)

    async def audit(self, queue: str | None = None, *, before: str | None = None, limit: int = 50) -> AuditPage:
        """What was done to one queue, or to all that `queues` lists, newest first; `before` is a page's `next`.

        `limit` is clamped to 1..MAX_ENTRIES. Raises: InvalidOption for a `before` that no page gave.
        """
        names = await self.queue_names() if queue is None else (queue,)
        return await self._trail.page(names, before, limit)

    async def audit_entry(self, entry_id: str) -> AuditEntry | None:
        """One entry by its id; None where it is gone, as old ones are, and where no entry has this id."""
        return await self._trail.entry(entry_id)
