"""Fetcher: keeps the slots of one queue at work with as few questions to Redis as possible.

A slot is a long-lived task that runs one job after another; recording a job fetches the next. The fetcher only wakes
slots that have none: it waits on the queue's marker, claims for one idle slot, and for twice as many each time that
all claims of a round found a job.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from dataclasses import dataclass, field

from jobqueue.clock import now_ms
from jobqueue.queue import Queue
from jobqueue.redis.client import Client
from jobqueue.redis.retry import Pause, is_passing
from jobqueue.transitions import Claimant, Finished
from jobqueue.wire import NOTHING, Fetched
from jobqueue.worker.executor import Executor
from jobqueue.worker.reporter import Reporter
from jobqueue.worker.settling import settle

_log = logging.getLogger("jobqueue.worker")

IDLE_BLOCK_S = 5.0
_SHORTEST_BLOCK_S = 0.001
_UNBLOCK_AGAIN_S = 0.05
_AFTER_FAULT_S = 1.0
_LAST_CLAIM_S = 2.0


@dataclass(slots=True)
class _Slot:
    """One unit of concurrency, with a token of its own: jobs that are active at once never share one."""

    claimant: Claimant
    job: asyncio.Future[Fetched] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


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
        self._reporter = reporter
        self._claimants = claimants
        self._idle: deque[_Slot] = deque()
        self._changed = asyncio.Event()
        self._stopping = False
        self._on_hold = False
        self._woken = False
        self._delayed_until_ms: float = 0
        self._limited_until_ms: float = 0
        self._slots: list[asyncio.Task[None]] = []
        self._fetching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        loop = asyncio.get_running_loop()
        self._slots = [loop.create_task(self._work(claimant)) for claimant in self._claimants]
        self._fetching = loop.create_task(self._fetch())
        for task in (*self._slots, self._fetching):
            task.add_done_callback(_tell_fault)

    async def stop_claiming(self) -> None:
        """Claim nothing more; what runs goes on. A claim whose answer Redis still owes is waited for, but not long."""
        self._stopping = True
        self._changed.set()
        if self._fetching is not None:
            await asyncio.wait({self._fetching}, timeout=_LAST_CLAIM_S)
            self._fetching.cancel()
            await asyncio.gather(self._fetching, return_exceptions=True)
        while self._idle:
            self._idle.popleft().job.set_result(NOTHING)

    def hold(self, on_hold: bool) -> None:
        """Claim nothing while on hold."""
        self._on_hold = on_hold
        self._changed.set()

    def wake(self) -> None:
        """Ask at once: jobs are known to be waiting whose marker may have been taken by a worker that is gone."""
        self._woken = True
        self._changed.set()

    async def drained(self) -> None:
        """Wait until every slot has ended its job."""
        await asyncio.gather(*self._slots, return_exceptions=True)

    async def abandon(self) -> None:
        """Give up jobs whose end cannot be recorded; their locks expire and another worker takes them."""
        for slot in self._slots:
            slot.cancel()
        await asyncio.gather(*self._slots, return_exceptions=True)

    # Slots

    async def _work(self, claimant: Claimant) -> None:
        while not self._stopping:
            slot = _Slot(claimant)
            self._idle.append(slot)
            self._changed.set()
            fetched = await slot.job
            while fetched.fields is not None:
                fetched = await self._execute(fetched, claimant)
            self._note(fetched)

    async def _execute(self, fetched: Fetched, claimant: Claimant) -> Fetched:
        """A fault of ours costs the job its try, since its lock expires, but not the worker its slot."""
        try:
            return await self._executor.execute(fetched, claimant, self._may_fetch)
        except Exception:
            _log.exception("job %s of queue %s could not be taken to its end", fetched.job_id, self._queue.name)
            return NOTHING

    def _may_fetch(self) -> bool:
        return not (self._stopping or self._on_hold)

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
                batch = await self._round(batch)
            except Exception:
                _log.exception("queue %s cannot be claimed from; trying again", self._queue.name)
                await self._sleep(_AFTER_FAULT_S)

    async def _round(self, batch: int) -> int:
        """Claim for up to `batch` idle slots, then wait for the next work; returns the size of the next round."""
        self._woken = False
        slots = [self._idle.popleft() for _ in range(min(batch, len(self._idle)))]
        try:
            found = await asyncio.gather(*map(self._claim_for, slots))
        finally:
            self._idle.extendleft(slot for slot in slots if not slot.job.done())
        if self._idle and not self._stopping:
            await self._work_to_do()
        return batch * 2 if all(found) else 1

    async def _claim_for(self, slot: _Slot) -> bool:
        """Claim for one idle slot; where there is no job it stays idle."""
        fetched = (await self._claim(slot.claimant)).next
        if fetched.fields is None:
            self._note(fetched)
            return False
        slot.job.set_result(fetched)
        return True

    async def _claim(self, claimant: Claimant) -> Finished:
        async def claim() -> Finished:
            return Finished(NOTHING if self._stopping else await self._queue.claim(claimant))

        return await settle(self._queue, claimant.token, claim, self._reporter.redis_lost)

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


def _tell_fault(task: asyncio.Task[None]) -> None:
    """A slot or the fetcher should end only when it is told to."""
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("a part of the worker has ended by a fault", exc_info=error)
