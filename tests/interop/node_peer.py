"""A real Node BullMQ peer, driven from a test: typed calls in, frozen records out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, Self, TypeVar

from pydantic import JsonValue, TypeAdapter

from tests.interop.node_process import NodePeerError, NodeProcess
from tests.interop.node_records import (
    NodeEvent,
    NodeFlow,
    NodeJob,
    NodeMetrics,
    NodeRaw,
    NodeResult,
    NodeScheduler,
    NodeSuperseding,
    NodeVersion,
    NodeWorker,
)

__all__ = ["NewJob", "NodePeer", "NodePeerError"]

T = TypeVar("T")
Options = Mapping[str, JsonValue]

CALL_LIMIT_S = 20.0


@dataclass(frozen=True, slots=True)
class NewJob:
    """A job to add, with its options in BullMQ's own words."""

    name: str
    data: JsonValue
    opts: Options = field(default_factory=dict[str, JsonValue])


class Asked(Protocol):
    """Whoever passes a command on to a Node process."""

    async def call(self, command: str, args: Mapping[str, JsonValue], timeout_s: float) -> JsonValue: ...


class NodePeer:
    """One Node process on one queue; other queues of the same prefix by `on(queue)`.

    Concurrency: calls may run at the same time; each has its own time limit.
    """

    def __init__(self, redis_url: str, prefix: str, queue: str = "jobs", *, call_limit_s: float = CALL_LIMIT_S) -> None:
        self.redis_url = redis_url
        self.prefix = prefix
        self.queue = queue
        self._call_limit_s = call_limit_s
        self._process = NodeProcess(redis_url)
        self._asked: Asked = self._process

    @classmethod
    def of(cls, asked: Asked, redis_url: str, prefix: str) -> NodePeer:
        """A peer of a Node process that somebody else starts and ends."""
        peer = cls(redis_url, prefix)
        peer._asked = asked
        return peer

    async def __aenter__(self) -> Self:
        await self._process.__aenter__()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        await self._process.__aexit__(kind, *rest)

    def on(self, queue: str) -> NodePeer:
        """The same Node process, looking at another queue of the prefix."""
        other = NodePeer(self.redis_url, self.prefix, queue, call_limit_s=self._call_limit_s)
        other._asked = self._asked
        return other

    async def reset(self) -> None:
        """Close all that the peer has opened: workers, queues, event readers, the board."""
        await self._call("reset")

    async def version(self) -> NodeVersion:
        return await self._ask(NodeVersion, "version")

    # --- producing ---

    async def add(self, name: str, data: JsonValue, opts: Options | None = None) -> str:
        """Add one job and return its id."""
        return await self._ask(str, "add", name=name, data=data, opts=dict(opts or {}))

    async def add_bulk(self, jobs: Sequence[NewJob]) -> list[str]:
        """Add many jobs in one call of `Queue.addBulk` and return their ids in the same order."""
        rows: list[JsonValue] = [{"name": job.name, "data": job.data, "opts": dict(job.opts)} for job in jobs]
        return await self._ask(list[str], "addBulk", jobs=rows)

    async def add_flow(self, flow: Options) -> NodeFlow:
        """Add a parent with its children; `flow` is FlowProducer's own object, `queueName` included."""
        return await self._ask(NodeFlow, "addFlow", flow=dict(flow))

    async def add_superseding(
        self, module: Path, name: str, payload: JsonValue, dedupe_key: str, opts: Options | None = None
    ) -> NodeSuperseding:
        """Add a job and claim its lane, by the module that the documentation shows."""
        return await self._ask(
            NodeSuperseding,
            "addSuperseding",
            path=str(module),
            name=name,
            payload=payload,
            dedupeKey=dedupe_key,
            opts=dict(opts or {}),
        )

    async def upsert_scheduler(self, scheduler_id: str, repeat: Options, template: Options) -> str | None:
        """Make or change a scheduler and return the id of its next job."""
        answer = await self._call(
            "upsertScheduler", schedulerId=scheduler_id, repeat=dict(repeat), template=dict(template)
        )
        return TypeAdapter(str | None).validate_python(answer)

    async def remove_scheduler(self, scheduler_id: str) -> bool:
        return await self._ask(bool, "removeScheduler", schedulerId=scheduler_id)

    # --- working ---

    async def start_worker(
        self,
        processor: str,
        processor_options: Options | None = None,
        *,
        worker_id: str = "worker",
        opts: Options | None = None,
    ) -> None:
        """Start a Node Worker whose every job is run by the processor of that name (`peer/workers.mjs`)."""
        await self._call(
            "startWorker",
            workerId=worker_id,
            processor=processor,
            processorOptions=dict(processor_options or {}),
            opts=dict(opts or {}),
        )

    async def start_superseding_worker(self, module: Path, ms: int, *, worker_id: str = "worker") -> None:
        """Start a Node Worker whose jobs take that long and can be superseded, by the documentation's module."""
        await self._call("startSupersedingWorker", path=str(module), workerId=worker_id, ms=ms)

    async def stop_worker(self, worker_id: str = "worker", *, force: bool = False) -> None:
        """Close a Worker; without `force` it ends its active jobs first."""
        await self._call("stopWorker", workerId=worker_id, force=force)

    # --- events ---

    async def start_events(self) -> None:
        """Read the queue's event stream with Node's QueueEvents, from its first event on."""
        await self._call("startEvents")

    async def events(self, start: int = 0) -> list[NodeEvent]:
        return await self._ask(list[NodeEvent], "events", start=start)

    async def wait_for_event(
        self, event: str, job_id: str | None = None, *, count: int = 1, timeout_s: float = 10.0
    ) -> NodeEvent:
        """Wait for the `count`-th such event, those that have already come included."""
        wanted: dict[str, JsonValue] = {"event": event, "count": count, "timeoutMs": int(timeout_s * 1000)}
        if job_id is not None:
            wanted["jobId"] = job_id
        answer = await self._asked.call("waitForEvent", self._at() | wanted, timeout_s + CALL_LIMIT_S)
        return NodeEvent.model_validate(answer)

    # --- looking ---

    async def job(self, job_id: str) -> NodeJob:
        """A job as Node sees it. Raises: NodePeerError, if there is none of that id."""
        found = await self.find_job(job_id)
        if found is None:
            raise NodePeerError(f"Node finds no job {job_id} in {self.prefix}:{self.queue}")
        return found

    async def find_job(self, job_id: str) -> NodeJob | None:
        answer = await self._call("job", jobId=job_id)
        return None if answer is None else NodeJob.model_validate(answer)

    async def flow(self, job_id: str) -> NodeFlow:
        """A job with its children, and theirs, as `FlowProducer.getFlow` finds them."""
        return await self._ask(NodeFlow, "flow", jobId=job_id)

    async def children_values(self, job_id: str) -> dict[str, JsonValue]:
        """What the completed children of a job returned, by their keys."""
        return await self._ask(dict[str, JsonValue], "childrenValues", jobId=job_id)

    async def ignored_failures(self, job_id: str) -> dict[str, str]:
        """Why children failed whose failure is ignored, by their keys."""
        return await self._ask(dict[str, str], "ignoredFailures", jobId=job_id)

    async def job_ids(self, state: str) -> list[str]:
        return await self._ask(list[str], "jobIds", state=state)

    async def results(self, state: str = "completed") -> list[NodeResult]:
        return await self._ask(list[NodeResult], "results", state=state)

    async def counts(self) -> dict[str, int]:
        """Jobs by state, in BullMQ's words for the states."""
        return await self._ask(dict[str, int], "counts")

    async def workers(self) -> list[NodeWorker]:
        return await self._ask(list[NodeWorker], "workers")

    async def schedulers(self) -> list[NodeScheduler]:
        """Job schedulers, the one that runs next first."""
        return await self._ask(list[NodeScheduler], "schedulers")

    async def metrics(self, kind: str) -> NodeMetrics:
        """Per-minute metrics; `kind` is completed or failed."""
        return await self._ask(NodeMetrics, "metrics", type=kind)

    async def logs(self, job_id: str) -> list[str]:
        return await self._ask(list[str], "logs", jobId=job_id)

    async def raw(self, job_id: str, *, silent: bool = False) -> NodeRaw:
        """A job's hash as it stands in Redis; `silent` keeps Node from writing `meta` first."""
        return await self._ask(NodeRaw, "raw", jobId=job_id, silent=silent)

    # --- acting ---

    async def retry(self, job_id: str, *, state: str = "failed", opts: Options | None = None) -> None:
        await self._call("retry", jobId=job_id, state=state, opts=dict(opts or {}))

    async def remove(self, job_id: str) -> None:
        await self._call("remove", jobId=job_id)

    async def promote(self, job_id: str) -> None:
        await self._call("promote", jobId=job_id)

    async def clean(self, state: str, *, grace_ms: int = 0, limit: int = 1000) -> list[str]:
        """Remove jobs of a state that are older than the grace and return their ids."""
        return await self._ask(list[str], "clean", state=state, graceMs=grace_ms, limit=limit)

    async def pause(self) -> None:
        await self._call("pause")

    async def resume(self) -> None:
        await self._call("resume")

    async def retry_all(self, state: str = "failed") -> None:
        """Put all jobs of a finished state back to waiting, by one call of `Queue.retryJobs`."""
        await self._call("retryAll", state=state)

    async def promote_all(self) -> None:
        """Put all delayed jobs to waiting, by one call of `Queue.promoteJobs`."""
        await self._call("promoteAll")

    async def drain(self, *, delayed: bool = False) -> None:
        """Remove all jobs that wait, with `delayed` the delayed ones too."""
        await self._call("drain", delayed=delayed)

    async def obliterate(self, *, force: bool = False) -> None:
        """Destroy the queue, which must be paused; with `force` also where jobs are active."""
        await self._call("obliterate", force=force)

    async def remove_orphaned_jobs(self) -> int:
        """Delete the keys that look like those of jobs in no state, and return how many jobs that were."""
        return await self._ask(int, "removeOrphanedJobs")

    async def set_global_concurrency(self, concurrency: int) -> None:
        """At most so many jobs of the queue are active at once, over all workers."""
        await self._call("setGlobalConcurrency", concurrency=concurrency)

    async def set_global_rate_limit(self, most: int, duration_ms: int) -> None:
        """At most so many jobs of the queue start within any such time, over all workers."""
        await self._call("setGlobalRateLimit", max=most, durationMs=duration_ms)

    async def wipe(self) -> int:
        """Delete every key of the prefix, of all its queues, and return how many there were."""
        return await self._ask(int, "wipe")

    async def is_paused(self) -> bool:
        return await self._ask(bool, "isPaused")

    # --- bull-board ---

    async def start_board(self, *queues: str) -> str:
        """Start bull-board's own server on these queues (default: this one) and return its address."""
        port = await self._ask(int, "startBoard", queues=list[JsonValue](queues or (self.queue,)))
        return f"http://127.0.0.1:{port}"

    async def _ask(self, kind: type[T], command: str, **args: JsonValue) -> T:
        return TypeAdapter(kind).validate_python(await self._call(command, **args))

    async def _call(self, command: str, **args: JsonValue) -> JsonValue:
        return await self._asked.call(command, self._at() | args, self._call_limit_s)

    def _at(self) -> dict[str, JsonValue]:
        return {"prefix": self.prefix, "queue": self.queue}
