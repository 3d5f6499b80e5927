"""Lease: which of all relays is at work. The others stand by, and take over when it ends."""

from __future__ import annotations

from typing import Final

from jobqueue.database import new_id
from jobqueue.outbox import steps
from jobqueue.queue import Queue

LEASE_MS: Final = 1_500
RENEW_S: Final = 0.5
_ENDED_S: Final = 0.05


class Lease:
    """The lease of all relays that have the same first queue: who has it looks into the table.

    Shape of the token: the holder's name, a dot, and an id that no other start of it has.
    It keeps two relays from working against each other, no more. That nothing is moved twice is seen to by the hold on
    each queue, which is asked in the step that adds a job. It asks without scripts: an idle relay renews it for ever.
    """

    def __init__(self, queue: Queue, holder: str) -> None:
        self.token = f"{holder}.{new_id()}"
        self.is_held = False
        self._queue = queue

    async def keep(self) -> float:
        """Take it or renew it; returns the seconds until it is worth to ask again, 0 where it is ours.

        Concurrency: a renewal that comes too late adds to the time of whoever has it by now, once.
        """
        key, call = self._queue.keys.outbox_lease(), self._queue.client.call
        if self.is_held:
            self.is_held = await call("GETEX", key, "PX", LEASE_MS) == self.token
        if not self.is_held:
            self.is_held = await call("SET", key, self.token, "NX", "PX", LEASE_MS) is not None
        if self.is_held:
            return 0.0
        ends_in_ms: int = await call("PTTL", key)
        return max(ends_in_ms / 1000, 0.0) + _ENDED_S

    async def leave(self) -> None:
        """Give it back, if it is ours."""
        if self.is_held:
            self.is_held = False
            await steps.leave(self._queue, self.token)
