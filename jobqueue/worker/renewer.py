"""Renewer: keeps what this worker holds alive, from a thread of its own, so that a blocked event loop loses nothing."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Final, TypeAlias, cast

from jobqueue import packing
from jobqueue.background import FAREWELL_S
from jobqueue.context import AbortReason
from jobqueue.errors import RedisError
from jobqueue.redis.client import Client, Timeouts
from jobqueue.redis.locating import Locator
from jobqueue.scripts import own, shipped
from jobqueue.ties import LOCK_TTL_MS
from jobqueue.worker.active import LOCK_LOST, ActiveJobs

_log = logging.getLogger("jobqueue.worker")

OnLost: TypeAlias = Callable[[AbortReason], None]
"""Told, in the renewer's thread, that it is not held any more."""

SINGLETON_LOST: Final = AbortReason("lock_lost", "the singleton lock was lost")
HEARTBEAT_MS: Final = 60_000
_RETRY_S = 1.0
_TIMEOUTS = Timeouts(connect_s=_RETRY_S, call_s=2 * _RETRY_S)


@dataclass(frozen=True, slots=True, eq=False)
class LockLease:
    """A singleton's lock."""

    key: str
    token: str
    on_lost: OnLost


class Renewer:
    """Renews job locks at half their life, singleton locks at their heartbeat.

    Concurrency: `follow`, `hold` and `drop` from the event loop, renewal in the thread. What is lost is told.
    While Redis is away it tries again each second; what has expired meanwhile is then told as lost.
    """

    def __init__(self, locator: Locator, lock_ms: int) -> None:
        self._lock_ms = lock_ms
        self._locator = locator
        self._followed: tuple[ActiveJobs, ...] = ()
        self._leases: dict[str, LockLease] = {}
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobqueue-renewer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread; twice is fine. Blocks while a call to Redis is under way, but not long: where Redis does not
        answer the thread ends a little later, by itself.
        """
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join(FAREWELL_S)

    def follow(self, active: ActiveJobs) -> None:
        """Renew the locks of whatever jobs are active there, from now on."""
        self._followed = (*self._followed, active)

    def hold(self, lease: LockLease) -> None:
        """Renew it from now on. An older lease for the same lock is proved lost by this one."""
        with self._guard:
            older = self._leases.get(lease.key)
            self._leases[lease.key] = lease
        if older is not None:
            _tell(older.on_lost, SINGLETON_LOST)

    def drop(self, lease: LockLease) -> bool:
        """Renew it no more; False where it was not held any more."""
        with self._guard:
            if self._leases.get(lease.key) is not lease:
                return False
            del self._leases[lease.key]
            return True

    def _run(self) -> None:
        rounds = [
            _Round(self._lock_ms / 2000, partial(self._connected, self._renew_jobs)),
            _Round(HEARTBEAT_MS / 1000, partial(self._connected, self._renew_locks)),
        ]
        while not self._stopping.wait(max(min(one.due_s for one in rounds) - time.monotonic(), 0)):
            for one in rounds:
                if one.due_s <= time.monotonic():
                    one.turn()

    def _connected(self, work: Callable[[Client], Coroutine[Any, Any, None]]) -> None:
        """Do this on a new connection, on an event loop of this thread's. It is rare enough to ask each time where the
        server is now: locks that are renewed where a failover has left nobody run out where the jobs are."""

        async def do() -> None:
            client = Client(self._locator, timeouts=_TIMEOUTS)
            try:
                await work(client)
            finally:
                await client.close()

        asyncio.run(do())

    async def _renew_jobs(self, client: Client) -> None:
        """An execution that has ended since its job was asked for lost nothing."""
        for active in self._followed:
            executions = {execution.job.id: execution for execution in active}
            tokens = [execution.slot.claimant.token for execution in executions.values()]
            if not executions:
                continue
            args = (active.keys.base, packing.pack(tokens), packing.pack([*executions]), self._lock_ms)
            for job_id in cast(list[str], await client.run(shipped("extendLocks"), [active.keys.of("stalled")], args)):
                execution = executions.get(job_id)
                if execution is not None and execution in active:
                    _tell(execution.stop_from_thread, LOCK_LOST)

    async def _renew_locks(self, client: Client) -> None:
        """A lease that was dropped since the round began has ended in good order: nothing was lost."""
        with self._guard:
            leases = tuple(self._leases.values())
        for lease in leases:
            is_ours = await client.run(own("renewLock"), [lease.key], [lease.token, LOCK_TTL_MS])
            if not is_ours and self.drop(lease):
                _tell(lease.on_lost, SINGLETON_LOST)


class _Round:
    """One thing that is done over and over; sooner where it failed."""

    def __init__(self, every_s: float, work: Callable[[], None]) -> None:
        self._every_s = every_s
        self._work = work
        self.due_s = time.monotonic() + every_s

    def turn(self) -> None:
        """The thread must not die: without it every lock runs out."""
        try:
            self._work()
            self.due_s = time.monotonic() + self._every_s
        except Exception as error:
            level = logging.WARNING if isinstance(error, RedisError) else logging.ERROR
            _log.log(level, "locks could not be renewed, trying again: %r", error)
            self.due_s = time.monotonic() + min(_RETRY_S, self._every_s)


def _tell(on_lost: OnLost, reason: AbortReason) -> None:
    try:
        on_lost(reason)
    except RuntimeError:
        _log.warning("%s, and nobody is left to be told: the event loop is closed", reason.message)
