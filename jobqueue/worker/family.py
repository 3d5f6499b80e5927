"""Family: what a run asks about its job's children, and may change of them while the job is its own."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from jobqueue.children import ChildOptions, Children
from jobqueue.errors import JobCancelled
from jobqueue.flows import Flows
from jobqueue.handler import Handler
from jobqueue.job import Enqueued, Job


@dataclass(frozen=True, slots=True)
class RunFamily:
    """The children of one run's job. `is_over` says that the try has ended, which its handler may outlive: the slot's
    token may hold the same job again by then, for the next try.
    """

    flows: Flows
    token: str
    is_over: Callable[[], bool]

    async def add_child(
        self, parent: Job, handler: Handler[Any] | str, payload: Any, options: ChildOptions
    ) -> Enqueued:
        self._check()
        return await self.flows.add_child(parent, handler, payload, options, self.token)

    async def children_of(self, job: Job) -> Children:
        return await self.flows.children_of(job)

    async def remove_pending_children(self, job: Job) -> None:
        self._check()
        await self.flows.remove_pending_children(job, self.token)

    def _check(self) -> None:
        if self.is_over():
            raise JobCancelled("the try is over")
