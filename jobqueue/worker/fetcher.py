"""Fetcher: keeps the slots of one queue at work with as few questions to Redis as possible.

A slot runs one job after another; recording a job fetches its next. The fetcher only wakes slots that have none: it
waits on the queue's marker, claims for one idle slot, and for twice as many each time that all claims of a round found
a job.
"""

from __future__ import annotations

import asyncio
import contextvars
import logging
from collections import deque
from collections.abc import Callable, Coroutine
from typing import Any

from jobqueue.clock import now_ms
from jobqueue.queue import Queue
from jobqueue.redis.client import Client
from jobqueue.redis.retry import Pause, is_passing
from jobqueue.transitions import Claimant
from jobqueue.wire import NOTHING, Fetched
from jobqueue.worker.executor import Executor
from jobqueue.worker.reporter import Reporter
from jobqueue.worker.run import JobTask, LeftBehind
from jobqueue.worker.settling import settle

_log = logging.getLogger("jobqueue.worker")

IDLE_BLOCK_S = 5.0
_SHORTEST_BLOCK_S = 0.001
_UNBLOCK_AGAIN_S = 0.05
_AFTER_FAULT_S = 1.0
_LAST_CLAIM_S = 2.0
_CARE_STEP_S = 0.05


class JobSlot:
    """One unit of concurrency, with a token of its own: jobs that are active at once never share one.

    Each job gets a task of its own, in a context of its own, so that nothing of one job reaches the next.
    """

    def __init__(
        self, claimant: Claimant, may_fetch: Callable[[], bool], on_end: Callable[[JobSlot, Fetched], None]
    ) -> None:
        self.claimant = claimant
        self.may_fetch = may_fetch
        self._task: JobTask | None = None
        self._on_end = on_end
        self._context = contextvars.copy_context()
        self._turn = 0

    async def give_up(self) -> None:
        """Cancel what is left of its job, and wait until that has ended."""
        if self._task is not None:
            self._task.give_up()
            await asyncio.wait({self._task})

    def carry(self, steps: Coroutine[Any, Any, Fetched], name: str | None = None) -> None:
        """Run the steps as a new task, in place of the present one; they give the slot's next job."""
        self._turn += 1
        self._task = JobTask(self._go_through(steps, self._turn), name, self._context.copy())

    async def _go_through(self, steps: Coroutine[Any, Any, Fetched], turn: int) -> None:
        """A fault of ours costs the job its try, since its lock expires, but not the worker its slot."""
        following = NOTHING
        try:
            following = await steps
        except LeftBehind:
            _log.debug("a task that was left behind has ended")
        except Exception:
            _log.exception("a job of %s could not be taken to its end", self.claimant.worker_name)
        finally:
            if turn == self._turn:
                self._on_end(self, following)


class Fetcher:
    """The slots of one queue and what keeps them busy."""

    def __init__(
        self,
        queue: Queue,
        blocking: Client,
        executor: Executor,
        reporter: Reporter,
        claimants: list[Claimant],
    ) -> None:
        self._queue = queue
        self._blocking = blocking
        self._executor = executor
        self._care = executor.care
        self._reporter = reporter
        self._slots = [JobSlot(claimant, self._may_fetch, self._go_on) for claimant in claimants]
        self._idle = deque(self._slots)
        self._changed = asyncio.Event()
        self._stopping = False
        self._abandoned = False
        self._drained = asyncio.Event()
        self._on_hold = False
        self._woken = False
        self._delayed_until_ms: float = 0
        self._limited_until_ms: float = 0
        self._fetching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._fetching = asyncio.get_running_loop().create_task(self._fetch())
        self._fetching.add_done_callback(_tell_fault)

    async def stop_claiming(self) -> None:
        """Claim nothing more; what runs goes on. A claim whose answer Redis still owes is waited for, but not long."""
        self._stopping = True
        self._changed.set()
        if self._fetching is not None:
            await asyncio.wait({self._fetching}, timeout=_LAST_CLAIM_S)
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
        self._tell_if_drained()

    def hold(self, on_hold: bool) -> None:
        """Claim nothing while on hold."""
        self._on_hold = on_hold
        self._changed.set()

    def wake(self) -> None:
        """Ask at once: jobs are known to be waiting whose marker may have been taken by a worker that is gone."""
        self._woken = True
        self._changed.set()

    async def drained(self) -> None:
        """After `stop_claiming`: wait until every slot has ended its job."""
        await self._drained.wait()

    async def abandon(self) -> None:
        """Give up jobs whose end cannot be recorded; their locks expire and another worker takes them."""
        self._abandoned = True
        await asyncio.gather(*[slot.give_up() for slot in self._slots])
        self._drained.set()

    # Slots

    def _go_on(self, slot: JobSlot, fetched: Fetched) -> None:
        """Start the slot's next job, where it has one."""
        if fetched.fields is not None and not self._abandoned:
            name = f"{fetched.fields.get('name')}:{fetched.job_id}"
            slot.carry(self._executor.execute(fetched, slot), name)
            return
        self._note(fetched)
        self._idle.append(slot)
        if self._care.is_taken:
            self._woken = True  # its end fetched nothing, so there may be more
        self._changed.set()
        self._tell_if_drained()

    def _tell_if_drained(self) -> None:
        if self._stopping and len(self._idle) == len(self._slots):
            self._drained.set()

    def _may_fetch(self) -> bool:
        return not (self._stopping or self._on_hold or self._care.is_taken)

    def _note(self, fetched: Fetched) -> None:
        """Remember when an answer without a job said to ask again."""
        if fetched.limited_ms:
            self._limited_until_ms = now_ms() + fetched.limited_ms
        if fetched.next_delayed_ms:
            self._delayed_until_ms = fetched.next_delayed_ms

    # Fetching

    async def _fetch(self) -> None:
        """The first round asks without a marker: it may have been taken by a worker that is gone."""
        batch = 1
        while not self._stopping:
            if not self._idle or self._on_hold:
                await self._change()
                continue
            try:
                batch = await (self._careful_round() if self._care.is_taken else self._round(batch))
            except Exception:
                _log.exception("queue %s cannot be claimed from; trying again", self._queue.name)
                await self._sleep(_AFTER_FAULT_S)

    async def _round(self, batch: int) -> int:
        """Claim for up to `batch` idle slots, then wait for the next work; returns the size of the next round."""
        self._woken = False
        slots = [self._idle.popleft() for _ in range(min(batch, len(self._idle)))]
        found = await asyncio.gather(*map(self._claim_for, slots))
        if self._idle and not self._stopping:
            await self._work_to_do()
        return batch * 2 if all(found) else 1

    async def _careful_round(self) -> int:
        """Claim one job, once none is at work that might be the one that kills."""
        if not self._care.may_begin():
            await self._sleep(_CARE_STEP_S)
        elif await self._claim_for(self._idle.popleft()):
            await asyncio.sleep(0)  # from now on the job is among the active ones
        elif not self._stopping:
            await self._work_to_do()
        return 1

    async def _claim_for(self, slot: JobSlot) -> bool:
        """Claim for one idle slot; where there is no job it is idle again."""
        fetched = NOTHING
        try:
            fetched = await self._claim(slot.claimant)
        finally:
            self._go_on(slot, fetched)
        return fetched.fields is not None

    async def _claim(self, claimant: Claimant) -> Fetched:
        async def claim() -> Fetched:
            return NOTHING if self._stopping else await self._queue.claim(claimant)

        return await settle(self._queue, claimant.token, claim, _itself, self._reporter.redis_lost)

    async def _change(self) -> None:
        await self._changed.wait()
        self._changed.clear()

    async def _work_to_do(self) -> None:
        """Wait until the marker says that a job is ready, a delayed one is due, or the longest wait is over."""
        while not self._stopping:
            wait_s = self._longest_wait_s()
            if wait_s <= 0:
                return
            if self._limited_until_ms > now_ms():
                await self._sleep(wait_s)
                return
            marker_ms = await self._marker(wait_s)
            if marker_ms is None or marker_ms <= now_ms():
                return
            self._delayed_until_ms = marker_ms

    def _longest_wait_s(self) -> float:
        now = now_ms()
        if self._limited_until_ms > now:
            return min((self._limited_until_ms - now) / 1000, IDLE_BLOCK_S)
        if self._delayed_until_ms:
            until_ms, self._delayed_until_ms = self._delayed_until_ms, 0
            return min((until_ms - now) / 1000, IDLE_BLOCK_S)
        return IDLE_BLOCK_S

    async def _sleep(self, wait_s: float) -> None:
        try:
            async with asyncio.timeout(wait_s):
                while not self._stopping:
                    await self._change()
        except TimeoutError:
            return

    async def _marker(self, wait_s: float) -> float | None:
        """Take the queue's marker: 0 a job is ready, else when the next delayed one is due; None after `wait_s`.

        Redis looks at its clients' time limits only some ten times a second, so the wait is ended from here.
        """
        block_s = max(wait_s, _SHORTEST_BLOCK_S)
        key = self._queue.keys.of("marker")
        call = asyncio.ensure_future(self._blocking.call("BZPOPMIN", key, block_s, timeout_s=block_s + IDLE_BLOCK_S))
        change = asyncio.ensure_future(self._interrupted())
        try:
            await asyncio.wait({call, change}, timeout=wait_s, return_when=asyncio.FIRST_COMPLETED)
            while not call.done():
                await self._unblock()
                await asyncio.wait({call}, timeout=_UNBLOCK_AGAIN_S)
            popped = await call
            if popped and self._stopping:
                await self._queue.mark_ready()  # this worker takes nothing more; the marker is another's to see
        except Exception as error:
            if not is_passing(error):
                raise
            self._reporter.redis_lost(error)
            await Pause().rest()
            return None
        finally:
            change.cancel()
            call.cancel()
        return float(popped[2]) if popped else None

    async def _interrupted(self) -> None:
        while not (self._stopping or self._woken):
            await self._change()

    async def _unblock(self) -> None:
        """Where Redis refuses to, or is away, dropping the connection ends the wait as well."""
        try:
            connection = await self._blocking.connect()
            await self._queue.client.call("CLIENT", "UNBLOCK", connection.client_id)
        except Exception as error:
            self._blocking.drop(f"could not be unblocked: {error}")


def _itself(fetched: Fetched) -> Fetched:
    """What a claim whose answer was lost had fetched is what the token holds."""
    return fetched


def _tell_fault(task: asyncio.Task[None]) -> None:
    """It should end only when it is told to."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a part of the worker has ended by a fault", exc_info=error)
