"""Renewer: keeps what this worker holds alive, from a thread of its own, so that a blocked event loop loses nothing."""

from __future__ import annotations

import logging
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar, cast

import redis
from redis.exceptions import NoScriptError, RedisError

from jobqueue import wire
from jobqueue.context import AbortReason
from jobqueue.keys import QueueKeys
from jobqueue.locks import HEARTBEAT_MS, LOCK_TTL_MS
from jobqueue.scripts import Script, own, shipped

_log = logging.getLogger("jobqueue.worker")

OnLost: TypeAlias = Callable[[AbortReason], None]
"""Told, in the renewer's thread, that it is not held any more."""

_RETRY_S = 1.0


@dataclass(frozen=True, slots=True, eq=False)
class JobLease:
    """The lock of an active job."""

    keys: QueueKeys
    job_id: str
    token: str
    on_lost: OnLost

    @property
    def what(self) -> str:
        """What is held, so that of two leases for one thing the older is known to be lost."""
        return self.keys.job_lock(self.job_id)


@dataclass(frozen=True, slots=True, eq=False)
class LockLease:
    """A singleton's lock."""

    key: str
    token: str
    on_lost: OnLost

    @property
    def what(self) -> str:
        return self.key


Lease: TypeAlias = JobLease | LockLease
LeaseKind = TypeVar("LeaseKind", JobLease, LockLease)


class Renewer:
    """Renews job locks at half their life, singleton locks at their heartbeat.

    Concurrency: `hold` and `drop` from the event loop, renewal in the thread. A lost lease is told once and dropped.
    While Redis is away it tries again each second; what has expired meanwhile is then told as lost.
    """

    def __init__(self, redis_url: str, lock_ms: int) -> None:
        self._lock_ms = lock_ms
        self._client = redis.Redis.from_url(
            redis_url,
            decode_responses=True,
            encoding_errors="surrogateescape",
            socket_timeout=_RETRY_S * 2,
            socket_connect_timeout=_RETRY_S,
        )
        self._leases: dict[str, Lease] = {}
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="jobqueue-renewer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """End the thread and its connection; twice is fine. Blocks for as long as one call to Redis may take."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._client.close()

    def hold(self, lease: Lease) -> None:
        """Renew it from now on. An older lease for the same thing is proved lost by this one."""
        with self._guard:
            older = self._leases.get(lease.what)
            self._leases[lease.what] = lease
        if older is not None:
            _tell(older)

    def drop(self, lease: Lease) -> bool:
        """Renew it no more; False where it was not held any more."""
        with self._guard:
            if self._leases.get(lease.what) is not lease:
                return False
            del self._leases[lease.what]
            return True

    def _run(self) -> None:
        rounds = [_Round(self._lock_ms / 2000, self._renew_jobs), _Round(HEARTBEAT_MS / 1000, self._renew_locks)]
        while not self._stopping.wait(max(min(one.due_s for one in rounds) - time.monotonic(), 0)):
            for one in rounds:
                if one.due_s <= time.monotonic():
                    one.turn()

    def _renew_jobs(self) -> None:
        by_queue: defaultdict[QueueKeys, list[JobLease]] = defaultdict(list)
        for lease in self._held(JobLease):
            by_queue[lease.keys].append(lease)
        for keys, leases in by_queue.items():
            tokens, job_ids = [lease.token for lease in leases], [lease.job_id for lease in leases]
            args = (keys.base, wire.pack(tokens), wire.pack(job_ids), self._lock_ms)
            lost = set(cast(list[str], self._call(shipped("extendLocks"), [keys.of("stalled")], args)))
            for lease in leases:
                if lease.job_id in lost:
                    self._lose(lease)

    def _renew_locks(self) -> None:
        for lease in self._held(LockLease):
            if not self._call(own("renewLock"), [lease.key], [lease.token, LOCK_TTL_MS]):
                self._lose(lease)

    def _held(self, kind: type[LeaseKind]) -> list[LeaseKind]:
        with self._guard:
            return [lease for lease in self._leases.values() if isinstance(lease, kind)]

    def _lose(self, lease: Lease) -> None:
        """A lease that was dropped since the round began has ended in good order: nothing was lost."""
        if self.drop(lease):
            _tell(lease)

    def _call(self, script: Script, keys: Sequence[str], args: Sequence[str | bytes | int]) -> object:
        try:
            return self._client.evalsha(script.sha, len(keys), *keys, *args)
        except NoScriptError:
            return self._client.eval(script.text, len(keys), *keys, *args)


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


def _tell(lease: Lease) -> None:
    what = "the lock of the job" if isinstance(lease, JobLease) else "the singleton lock"
    try:
        lease.on_lost(AbortReason("lock_lost", f"{what} was lost"))
    except RuntimeError:
        _log.warning("%s was lost, and nobody is left to be told: the event loop is closed", what)
