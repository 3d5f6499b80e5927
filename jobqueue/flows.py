"""Flows: a tree of typed jobs, checked as a whole and stored as a whole; each job runs when its children have ended."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import count
from typing import Any, Final, Literal, NamedTuple, TypeVar, Unpack, cast, get_args, get_type_hints, overload
from uuid import uuid4

from jobqueue.children import ChildOptions, Children, Placed, add_together, read_children
from jobqueue.enqueue import Enqueuer, in_doubt_about
from jobqueue.errors import (
    ConnectionLost,
    DuplicateJob,
    EnqueueError,
    InvalidOption,
    LockLost,
    RedisReplyError,
    RedisUnavailable,
)
from jobqueue.handler import Handler
from jobqueue.job import Enqueued, EnqueueOptions, Job, PlainOptions
from jobqueue.keys import QueueKeys
from jobqueue.options import CheckedOptions, check_options
from jobqueue.redis.retry import Pause, is_refused_for_now
from jobqueue.ties import LimitTie, OrderTie, UniqueTie
from jobqueue.tracing import Sending, sent_under
from jobqueue.transitions import Added
from jobqueue.wire import NewJob, OnFailure, ParentRef, traced

MAX_JOBS: Final = 1_000
MAX_DEPTH: Final = 50
MAX_CHARACTERS: Final = 16_000_000
"""Of the data of all jobs: Redis takes a flow in one step, and does nothing else meanwhile."""

_OF_THE_OUTBOX: Final = frozenset(get_type_hints(EnqueueOptions)) - frozenset(get_type_hints(PlainOptions))

P = TypeVar("P")

_places = count(1)
"""Orders the children that running jobs of this process add within one millisecond."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One job of a tree that is still to be stored, and the jobs that it waits for. Made by `flow`."""

    handler: Handler[Any] | str
    payload: Any
    children: tuple[Flow, ...]
    options: ChildOptions


@overload
def flow(
    handler: Handler[None], payload: None = None, *, children: Iterable[Flow] = (), **options: Unpack[ChildOptions]
) -> Flow: ...
@overload
def flow(
    handler: Handler[P], payload: P, *, children: Iterable[Flow] = (), **options: Unpack[ChildOptions]
) -> Flow: ...
@overload
def flow(
    handler: str, payload: Any = None, *, children: Iterable[Flow] = (), **options: Unpack[ChildOptions]
) -> Flow: ...
def flow(
    handler: Handler[Any] | str, payload: Any = None, *, children: Iterable[Flow] = (), **options: Unpack[ChildOptions]
) -> Flow:
    """A job with its children, for `enqueue_flow`; nothing is checked or stored yet.

    `options` are those of `enqueue_job`, and for a child `on_failure`: what becomes of the parent when the child has
    failed for good. "fail_parent": fails too; "continue_parent": runs at once; "ignore" and "remove": runs when the
    other children have ended, and sees this failure ("ignore") or not. Without it the parent waits until the child is
    retried or removed.
    """
    return Flow(handler, payload, tuple(children), options)


@dataclass(frozen=True, slots=True)
class EnqueuedFlow(Enqueued):
    """The answer to a flow's job, with those of its children, in the order given.

    `created` is False for every job where the first one's `job_id` already existed: nothing was stored.
    """

    children: tuple[EnqueuedFlow, ...] = ()

    def walk(self) -> Iterator[EnqueuedFlow]:
        """Every job of the tree, parents before their children."""
        yield self
        for child in self.children:
            yield from child.walk()


class _Node(NamedTuple):
    """A job of a tree: where it stands ("2.1" is the first child of the second child, "" the root), and below whom."""

    path: str
    flow: Flow
    parent: int | None
    place: int


class Flows:
    """Stores flows, and what a running job asks of its children; one for each app."""

    def __init__(self, enqueuer: Enqueuer) -> None:
        self._enqueuer = enqueuer

    async def enqueue(self, root: Flow) -> EnqueuedFlow:
        """Store the whole tree in one step, or nothing.

        Safe to send again, since each job has an id before it leaves; so a lost answer is asked for again.
        Raises: EnqueueError, before anything is written, saying which job of the tree; RedisUnavailable;
        RedisReplyError; OutcomeUnknown where no answer came in time.
        """
        nodes = _nodes(root)
        jobs = self._encode(nodes)
        added = await self._send("addFlow", jobs)
        return self._answer(nodes, jobs, added)

    async def add_child(
        self, parent: Job, handler: Handler[Any] | str, payload: Any, options: ChildOptions, token: str | None = None
    ) -> Enqueued:
        """Store a job that a running one waits for, if it ends its try with WaitForChildren.

        Only while the parent is held under `token`: a child that a stale run added would be one too many for the next.

        `created` is False where the job has a child of that `job_id` already.
        Raises: as `enqueue`; JobNotFound and JobNotInState where the parent is over; LockLost.
        """
        on_failure, asked = _checked(options)
        job = self._enqueuer.encode(handler, payload, asked, parent.id)
        key = _order_key(job)
        if key is not None and key == self._keys(parent.queue).order(parent.envelope.order_key or ""):
            raise InvalidOption("order_key", "is the parent's own, which is free only after the parent has ended")
        link = self._link(parent.queue, parent.id, on_failure, next(_places))
        job = job._replace(job_id=job.job_id or str(uuid4()), parent=link)
        [added] = await self._send("add", [job], token)
        return Enqueued(
            added.job_id, job.name, job.queue, added.created, added.superseded, _outcomes=self._enqueuer.outcomes
        )

    async def children_of(self, job: Job) -> Children:
        """The job's children that have ended. Raises: RedisUnavailable; RedisReplyError."""
        return await read_children(self._enqueuer.queue_named(job.queue), job.id)

    async def remove_pending_children(self, job: Job, token: str) -> None:
        """Remove the children that have not ended and do not run now of a job that is held under `token`.

        Raises: as `children_of`; LockLost.
        """
        if not await self._enqueuer.queue_named(job.queue).remove_pending_children(job.id, token):
            raise LockLost(f"job {job.id!r} is not this run's any more, and its children are not either")

    def _encode(self, nodes: Sequence[_Node]) -> list[NewJob]:
        """The jobs as they will be stored. Raises: EnqueueError, naming the job."""
        jobs: list[NewJob] = []
        for node in nodes:
            try:
                jobs.append(self._encode_one(node, jobs))
            except EnqueueError as error:
                error.args = (f"[{node.path or 'root'}] {error}",)
                raise
        _check_distinct(jobs)
        if sum(len(job.data) for job in jobs) > MAX_CHARACTERS:
            raise InvalidOption("payload", f"those of all jobs of a flow must not exceed {MAX_CHARACTERS} characters")
        return jobs

    def _encode_one(self, node: _Node, above: Sequence[NewJob]) -> NewJob:
        """`above` are the jobs before it, its parent among them."""
        on_failure, asked = _checked(node.flow.options)
        if node.parent is None and on_failure is not None:
            raise InvalidOption("on_failure", "says what a failure means to the parent, and this job has none")
        job = self._enqueuer.encode(node.flow.handler, node.flow.payload, asked)
        if node.flow.children:
            job = _as_parent(job, asked)
        if node.parent is None:
            return job._replace(job_id=job.job_id or str(uuid4()))
        root, parent = above[0], above[node.parent]
        link = self._link(parent.queue, parent.job_id or "", on_failure, node.place)
        job_id = job.job_id or f"{root.job_id}.{node.path}"
        return job._replace(job_id=job_id, timestamp_ms=root.timestamp_ms, parent=link)

    def _link(self, queue: str, job_id: str, on_failure: OnFailure | None, place: int) -> ParentRef:
        return ParentRef(job_id, self._keys(queue).base.removesuffix(":"), on_failure, place)

    def _keys(self, queue: str) -> QueueKeys:
        return self._enqueuer.queue_named(queue).keys

    async def _send(
        self, operation: Literal["add", "addFlow"], jobs: Sequence[NewJob], parent_token: str | None = None
    ) -> Sequence[Added]:
        """Store the jobs; told to those who listen, and under one span where somebody draws them."""
        events = self._enqueuer.events
        if events.tracing is None:
            added = await self._store(self._placed(jobs), parent_token)
        else:
            with sent_under(events.tracing, Sending(operation, jobs[0].queue, [job.name for job in jobs])) as sent:
                added = await self._store(self._placed([traced(job, sent.carried) for job in jobs]), parent_token)
                sent.job_ids = (added[0].job_id,)
        if events.listeners:
            for job, one in zip(jobs, added, strict=True):
                self._enqueuer.tell(job, one)
        return added

    def _placed(self, jobs: Sequence[NewJob]) -> Sequence[Placed]:
        return [(self._enqueuer.queue_named(job.queue), job) for job in jobs]

    async def _store(self, jobs: Sequence[Placed], parent_token: str | None = None) -> Sequence[Added]:
        """Asked again where the answer was lost, or a server is not the one to ask, or not yet."""
        queue = jobs[0][0]
        pause, in_doubt = Pause(), False
        trouble: RedisUnavailable | RedisReplyError | None = None
        try:
            async with asyncio.timeout(self._enqueuer.settings.redis_call_ms / 1000):
                while True:
                    if trouble is not None:
                        in_doubt = in_doubt or isinstance(trouble, ConnectionLost)
                        if not in_doubt and not is_refused_for_now(trouble):
                            raise trouble
                        await pause.rest()
                    trouble = None
                    try:
                        return await add_together(jobs, parent_token)
                    except (RedisUnavailable, RedisReplyError) as error:
                        trouble = error
        except TimeoutError as error:
            if trouble is not None and not in_doubt:
                raise trouble from error
            raise in_doubt_about(queue, error) from error

    def _answer(self, nodes: Sequence[_Node], jobs: Sequence[NewJob], added: Sequence[Added]) -> EnqueuedFlow:
        """The tree, put together from its leaves upwards."""
        children: list[list[EnqueuedFlow]] = [[] for _ in nodes]
        for node, job, one, below in reversed(list(zip(nodes, jobs, added, children, strict=True))):
            answer = EnqueuedFlow(
                *(one.job_id, job.name, job.queue, one.created, one.superseded),
                _outcomes=self._enqueuer.outcomes,
                children=tuple(below),
            )
            if node.parent is None:
                return answer
            children[node.parent].insert(0, answer)
        raise AssertionError("a tree has a root")


def _nodes(root: Flow) -> list[_Node]:
    """Every job of the tree, parents before their children. Raises: InvalidOption where it is too large or no tree."""
    nodes: list[_Node] = []

    def add(flow: object, path: str, parent: int | None, place: int, depth: int) -> None:
        if not isinstance(flow, Flow):
            raise InvalidOption("children", f"[{path or 'root'}] must be made by flow(), not {flow!r:.100}")
        if depth > MAX_DEPTH:
            raise InvalidOption("children", f"lie more than {MAX_DEPTH} deep")
        if len(nodes) == MAX_JOBS:
            raise InvalidOption("children", f"a flow has at most {MAX_JOBS} jobs; let a running job add more")
        nodes.append(_Node(path, flow, parent, place))
        above = len(nodes) - 1
        for number, child in enumerate(flow.children, start=1):
            add(child, f"{path}.{number}".lstrip("."), above, number, depth + 1)

    add(root, "", None, 0, 1)
    return nodes


def _checked(options: ChildOptions) -> tuple[OnFailure | None, CheckedOptions]:
    """Raises: InvalidOption."""
    given = dict(options)
    on_failure = given.pop("on_failure", None)
    if on_failure is not None and on_failure not in get_args(OnFailure):
        known = ", ".join(get_args(OnFailure))
        raise InvalidOption("on_failure", f"must be one of {known}, not {on_failure!r:.100}")
    for name in _OF_THE_OUTBOX.intersection(given):
        raise InvalidOption(
            name, "the jobs of a flow and children are stored in Redis in one step, never by the outbox"
        )
    return cast(OnFailure | None, on_failure), check_options(cast(EnqueueOptions, given))


def _as_parent(job: NewJob, asked: CheckedOptions) -> NewJob:
    """A job that waits for children begins later, so what is taken at the start is not taken yet.

    Raises: InvalidOption for what would have to be taken now.
    """
    if asked.run_at_ms is not None:
        raise InvalidOption("run_at", "a job with children starts after them; delay_ms counts from then")
    if _order_key(job) is not None:
        raise InvalidOption("order_key", "a job with children has no place in an order; give it to the children")
    if any(isinstance(tie, UniqueTie) for tie in job.ties):
        raise InvalidOption("duplicates", f"handler {job.name!r} rejects them, so its jobs cannot have children")
    ties = tuple(tie for tie in job.ties if not isinstance(tie, LimitTie))
    return job._replace(ties=ties, has_children=True)


def _check_distinct(jobs: Sequence[NewJob]) -> None:
    """Raises: InvalidOption, DuplicateJob where two jobs of one tree would be one."""
    ids: set[tuple[str, str | None]] = set()
    holders: dict[str, NewJob] = {}
    for job in jobs:
        if (job.queue, job.job_id) in ids:
            raise InvalidOption("job_id", f"{job.job_id!r} is the id of two jobs of the flow")
        ids.add((job.queue, job.job_id))
        for tie in job.ties:
            if isinstance(tie, UniqueTie) and holders.setdefault(tie.key, job) is not job:
                raise DuplicateJob(job.name, holders[tie.key].job_id or "")


def _order_key(job: NewJob) -> str | None:
    """The key of the order that a job stands in."""
    return next((tie.key for tie in job.ties if isinstance(tie, OrderTie)), None)
