"""Keys: every Redis key, one function each, with its Redis type. BullMQ's own first, ours after them."""

from __future__ import annotations

import base64
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

from jobqueue.errors import InvalidOption
from jobqueue.job import QUEUE_NAME, Related


@dataclass(frozen=True, slots=True)
class QueueKeys:
    """The keys of one queue.

    Invariant: every key starts with `base`, `{prefix}:{queue}:`, so queues and tests never meet.
    Raises: InvalidOption for a name that would reach into another queue.
    """

    prefix: str
    queue: str
    base: str = field(init=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(QUEUE_NAME, self.queue):
            raise InvalidOption("queue", f"must be 1 to 200 characters without ':' or braces, not {self.queue!r:.100}")
        object.__setattr__(self, "base", f"{self.prefix}:{self.queue}:")

    # BullMQ's (Source: bullmq queue_keys)

    def of(self, name: str) -> str:
        """One of BullMQ's fixed keys by its own word: wait, active, meta, events, …"""
        return self.base + name

    def each(self, names: Sequence[str]) -> tuple[str, ...]:
        """Some of BullMQ's fixed keys."""
        return tuple(map(self.of, names))

    def job(self, job_id: str) -> str:
        """hash: the job."""
        return self.base + job_id

    def job_lock(self, job_id: str) -> str:
        """string: the token of the worker that holds the active job; expires."""
        return f"{self.base}{job_id}:lock"

    def job_logs(self, job_id: str) -> str:
        """list: the job's log lines."""
        return f"{self.base}{job_id}:logs"

    def metrics(self, state: str) -> str:
        """hash: count, prevTS, prevCount; the per-minute points are the list beside it, `:data`."""
        return f"{self.base}metrics:{state}"

    def client_name(self, worker: str) -> str:
        """What a worker's blocking connection calls itself, so that Node's getWorkers finds it.

        Source: Node create-backend, QueueGetters.getWorkers.
        """
        return f"{self.prefix}:{base64.b64encode(self.queue.encode()).decode()}:w:{worker}"

    # Ours: three parts (`job:<kind>:<id>`), which Node's removeOrphanedJobs passes over

    def superseded(self, job_id: str) -> str:
        """string: the id of the job that superseded this one. Ends with the superseded job."""
        return f"{self.base}job:superseded:{job_id}"

    def cancelled(self, job_id: str) -> str:
        """string: when the job was enqueued (as its hash has it), a colon, why it is cancelled. Ends with the job."""
        return f"{self.base}job:cancel:{job_id}"

    def acknowledged(self, job_id: str) -> str:
        """string: as `cancelled`, how its work ended: `done` and the result's JSON, or `requeue`. Ends with the try."""
        return f"{self.base}job:ack:{job_id}"

    def created(self, job_id: str) -> str:
        """zset: `queue:id` of each job that this one's handler enqueued, the last of them, with its number: that of the
        last is how many there were. Expires, or ends when so many others have created jobs since.
        """
        return f"{self.base}job:created:{job_id}"

    def creators(self) -> str:
        """zset: the jobs that have a `created`, by the number in the queue of the last that each created. Expires."""
        return f"{self.base}job:creators:noted"

    def lane(self, handler: str, dedupe_key: str) -> str:
        """hash: holder (job id), rank (epoch ms of the claim). Ends with its holder."""
        return f"{self.base}job:lane:{handler}:{dedupe_key}"

    def unique(self, handler: str, related: Related) -> str:
        """hash: holder (job id). Ends with its holder."""
        return f"{self.base}job:unique:{handler}:{_joined(related)}"

    def related(self, related: Related) -> str:
        """set: the ids of the unfinished jobs about one object. Each ends with its job."""
        return f"{self.base}job:related:{_joined(related)}"

    def order(self, order_key: str) -> str:
        """zset: the unfinished jobs of an order key; the one whose turn it is has score 0, parked ones their rank."""
        return f"{self.base}job:order:{order_key}"

    def limit(self, handler: str, partition: str) -> str:
        """zset: the jobs under a concurrency limit; those that may run have score 0, parked ones their rank."""
        return f"{self.base}job:limit:{handler}" + (f":{partition}" if partition else "")

    def parked(self) -> str:
        """zset: the order keys and limits that have parked jobs, with the epoch ms of their last repair."""
        return f"{self.base}job:gates:parked"

    def rate(self, handler: str) -> str:
        """list: epoch ms of the last starts of a handler's jobs under its rate limit, the latest first. Expires."""
        return f"{self.base}job:rate:{handler}"

    def booked(self, handler: str) -> str:
        """zset: the line of the jobs that wait for a turn under the rate limit, by rank. Expires."""
        return f"{self.base}job:booked:{handler}"

    def care(self) -> str:
        """string: the job for whose sake workers begin one job at a time. Expires."""
        return f"{self.base}job:care:taken"

    def singleton_lock(self, identity: str) -> str:
        """hash: job, token, fence. Expires unless renewed."""
        return f"{self.base}job:lock:{identity}"

    def singleton_fence(self) -> str:
        """string: the last fence number given out for any lock of the queue, so that it is one key however many
        identities there are. Expires long after the last lock.
        """
        return f"{self.base}job:fence:last"

    def overlap(self, row_id: str) -> str:
        """hash: holder (job id): the job of a cron job's slot while which no other slot runs. Ends with its holder."""
        return f"{self.base}job:overlap:{row_id}"

    def slots(self, row_id: str) -> str:
        """zset: as `order`, the jobs of a cron job's slots, which run one after another; parked ones by their slot."""
        return f"{self.base}job:order:cron:{row_id}"

    def cron_history(self) -> str:
        """hash: leader, until, cursor: who reads what became of cron jobs, and how far that is written; and the ids of
        triggers whose end is not. Expires.
        """
        return f"{self.base}job:cron:history"

    def cron_schedulers(self) -> str:
        """hash: the job schedulers that are ours, with the id of the row that each follows. Ends with the last one."""
        return f"{self.base}job:cron:schedulers"

    def cron_passes(self) -> str:
        """hash: begun, applied: numbers of the passes that make schedulers equal to the table; looked: up to where
        schedulers were looked at. Expires.
        """
        return f"{self.base}job:cron:passes"

    def cron_fired(self, scheduler_id: str) -> str:
        """string: epoch ms up to which a removed scheduler has fired, where that is still to come. Expires then."""
        return f"{self.base}job:cron:fired-{scheduler_id}"

    def cron_look(self) -> str:
        """string: somebody has just looked for schedulers that lost their next iteration. Expires."""
        return f"{self.base}job:cron:look"

    def overflow(self) -> str:
        """hash: refused, settled, at, closing: the queue was full, so new jobs are spilled to the outbox until that is
        empty; how many were refused, how many of them are written or given up, when that was last, and until when new
        ones wait because it is about to end (epoch ms). Ends when the relay says so, or expires.
        """
        return f"{self.base}job:overflow:flag"

    def outbox_lease(self) -> str:
        """string: the relay that is at work, of all that have this as their first queue. Expires."""
        return f"{self.base}job:outbox:lease"

    def outbox_hold(self) -> str:
        """string: which look of which relay at the queue was the latest: only under that are rows moved. Expires."""
        return f"{self.base}job:outbox:hold"

    def outbox_moved(self) -> str:
        """hash: key of a row -> the job that it became, until the row is deleted. The relay removes it; expires."""
        return f"{self.base}job:outbox:moved"

    def audit(self) -> str:
        """stream: who did what to the queue, and what came of it. Expires."""
        return f"{self.base}job:audit:log"

    def statistics(self, word: str, slot: int) -> str:
        """hash: handler -> counts (msgpack) of a minute, ten minutes, an hour or a quarter of a day: `slot` is its
        number since 1970. The handler "" is the whole queue. Expires.
        """
        return f"{self.base}job:stats:{word}-{slot}"

    def statistics_sent(self, started: str) -> str:
        """string: number of the last batch of figures that one start of a worker has added. Expires."""
        return f"{self.base}job:stats:sent-{started}"

    def worker(self, started: str) -> str:
        """string: what one start of a worker tells of itself, as JSON. Expires unless renewed."""
        return f"{self.base}job:worker:{started}"

    def workers(self) -> str:
        """set: the starts of workers that have a record, and some that had one. Expires unless renewed."""
        return f"{self.base}job:workers:alive"

    def signals(self) -> str:
        """channel: `superseded`, `cancelled`, `acknowledged` or `careful`, job id and mark, a line each."""
        return f"{self.base}job:signals"


def placed(queue: str, job_id: str) -> str:
    """One text for a job and its queue, whose name has no colon."""
    return f"{queue}:{job_id}"


def _joined(related: Related) -> str:
    """One text for one object: its type has no colon of its own."""
    kind = related.type.replace("%", "%25").replace(":", "%3A")
    return f"{kind}:{related.id}"
