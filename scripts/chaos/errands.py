"""Errands: a producer of jobs of every pattern, which enqueues what was not accepted again until it is."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from jobqueue import App, Handler, OutcomeUnknown
from jobqueue.errors import JobqueueError, RedisError, RedisReplyError
from jobqueue.keys import QueueKeys
from scripts.chaos.every_pattern import FAILING, HANDLERS, Errand, in_order

_KEYS: Final = 4
_FAILING: Final = 0.2
_LEAST_MS, _MOST_MS = 20, 200
_REST_S: Final = 0.05


@dataclass(slots=True)
class Producer:
    """Enqueues through `app`, each job under an id of its own, until it is told that it is stored. One call at a time.

    `stored` has what was accepted, in the order in which it was; `refused` counts what it was told besides.
    """

    app: App
    keys: QueueKeys
    chance: random.Random
    handlers: Sequence[Handler[Errand]] = HANDLERS
    stored: dict[str, tuple[str, Errand]] = field(default_factory=dict[str, tuple[str, Errand]])
    refused: Counter[str] = field(default_factory=Counter[str])
    found: int = 0
    """Jobs of which an add was told that they are there already: its first answer had been lost."""
    _asked: tuple[str, Errand] | None = None

    async def keep_waiting(self, most: int) -> None:
        """See to it that so many jobs wait, for ever."""
        while True:
            try:
                waiting = int(await self.app.client.call("LLEN", self.keys.of("wait")))
            except RedisError as error:
                self.refused[_word_for(error)] += 1
                waiting = most
            await self.enqueue(min(most - waiting, len(HANDLERS)))
            await asyncio.sleep(_REST_S)  # nothing tells that a queue is short

    async def enqueue(self, count: int) -> None:
        """So many jobs, one after the other. One that was interrupted before it was known to be stored comes first."""
        for _ in range(count):
            name, errand = self._asked = self._asked or self._drawn()
            await self._store(name, errand)
            self._asked = None

    def _drawn(self) -> tuple[str, Errand]:
        number = len(self.stored)
        name = self.handlers[number % len(self.handlers)].name
        fails = int(name in FAILING and self.chance.random() < _FAILING)
        key = f"{name}-{self.chance.randrange(_KEYS)}"
        return name, Errand(key, number, self.chance.randint(_LEAST_MS, _MOST_MS), fails)

    async def _store(self, name: str, errand: Errand) -> None:
        job_id = f"errand-{errand.number}"
        while job_id not in self.stored:
            try:
                if name == in_order.name:
                    job = await self.app.enqueue_job(name, errand, job_id=job_id, order_key=errand.key)
                else:
                    job = await self.app.enqueue_job(name, errand, job_id=job_id)
            except (RedisError, OutcomeUnknown) as error:
                self.refused[_word_for(error)] += 1
                await asyncio.sleep(_REST_S)  # Redis is away, or answers to nobody
                continue
            self.found += not job.created
            self.stored[job_id] = (name, errand)


def _word_for(error: JobqueueError) -> str:
    """What Redis called it, or the name of the error."""
    return error.code if isinstance(error, RedisReplyError) else type(error).__name__
