"""Outbox: the table of jobs on their way as a screen shows it, masked, with what Redis tells of it."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from jobqueue import encoding, wire
from jobqueue.app import App
from jobqueue.database import Database
from jobqueue.errors import RedisError
from jobqueue.inspector.reading import masker_for
from jobqueue.inspector.stored import read
from jobqueue.job import QUEUE_NAME
from jobqueue.keys import QueueKeys
from jobqueue.masking import PLAIN, Masker
from jobqueue.outbox.shelf import Shelf, ShelfRow, Shelved
from jobqueue.redis.retry import is_passing

_EPOCH: Final = datetime.fromtimestamp(0, UTC)
_STAMP = re.compile(r"[0-9]{1,16}", re.ASCII)
_NOTHING: Final[tuple[Any, ...]] = (None, 0, {})


@dataclass(frozen=True, slots=True)
class OutboxQueue:
    """A queue with rows in the outbox, or one that overflows.

    As many rows as `counted_to` mean so many or more. Units: epoch milliseconds: `oldest_at_ms` of those that wait,
    `spilled_at_ms` when the last job found the queue full, None where it takes new ones.
    """

    name: str
    waiting: int = 0
    set_aside: int = 0
    counted_to: int = 0
    oldest_at_ms: int | None = None
    spilled_at_ms: int | None = None


@dataclass(frozen=True, slots=True)
class OutboxView:
    """The outbox of a service. `has_relay` is whether somebody moves rows now.

    Where Redis cannot be asked `redis_away` says why, and what it would tell is left out: `has_relay` is None.
    """

    queues: tuple[OutboxQueue, ...]
    has_relay: bool | None
    redis_away: str | None = None

    @property
    def waits_in_vain(self) -> bool:
        """True where rows wait and nobody moves them."""
        return self.has_relay is False and any(queue.waiting for queue in self.queues)


@dataclass(frozen=True, slots=True)
class OutboxJob:
    """A row as a screen shows it, its payload masked.

    Invariant: where the data cannot be read `problem` says why, and `raw` has it; a list leaves out what is large, and
    `is_whole` is False then. `asked` is what stands beside the data: priority, delay, options. Units: epoch
    milliseconds.
    """

    id: int
    queue: str
    name: str
    job_id: str
    origin: str
    created_at_ms: int
    attempts: int
    next_try_at_ms: int | None
    last_error: str | None
    set_aside_at_ms: int | None
    payload: Any = None
    problem: str | None = None
    raw: str | None = None
    is_whole: bool = True
    asked: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @property
    def is_set_aside(self) -> bool:
        return self.set_aside_at_ms is not None


class OutboxReader:
    """Reads the rows of an app's prefix. Raises, from every method that asks the table: DatabaseUnavailable."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def view(self, database: Database) -> OutboxView:
        """The queues that have rows, and those of the registry that overflow."""
        shelved = await self.shelf(database).queues()
        found = {one.queue: _queue(one) for one in shelved}
        try:
            overflowing, has_relay = await asyncio.gather(
                self.overflowing([*found, *self._app.queue_names()]), self._has_relay()
            )
        except RedisError as error:
            if not is_passing(error):
                raise
            return OutboxView(tuple(found.values()), None, str(error))
        for name, at_ms in overflowing.items():
            found[name] = replace(found.get(name, OutboxQueue(name)), spilled_at_ms=at_ms)
        return OutboxView(tuple(found[name] for name in sorted(found)), has_relay)

    async def overflowing(self, names: Iterable[str]) -> Mapping[str, int]:
        """Which of these queues overflow, and when the last job found them full (epoch ms)."""
        wanted = [name for name in dict.fromkeys(names) if re.fullmatch(QUEUE_NAME, name)]
        prefix, client = self._app.settings.jobs_prefix, self._app.client
        keys = [QueueKeys(prefix, name).overflow() for name in wanted]
        times = await asyncio.gather(*(read(client, "HGET", key, "at") for key in keys))
        return {name: int(at) for name, at in zip(wanted, times, strict=True) if at and _STAMP.fullmatch(at)}

    def shelf(self, database: Database) -> Shelf:
        return Shelf(database, self._app.settings.jobs_prefix)

    def shown(self, row: ShelfRow) -> OutboxJob:
        """A row, masked as its job will be."""
        masker = masker_for(self._app.registry.find(row.name))
        shown = OutboxJob(
            id=row.id,
            queue=row.queue,
            name=row.name,
            job_id=row.job_id,
            origin=row.origin,
            created_at_ms=_ms(row.created_at) or 0,
            attempts=row.attempts,
            next_try_at_ms=_ms(row.next_try_at),
            last_error=row.last_error,
            set_aside_at_ms=_ms(row.set_aside_at),
        )
        return _with_data(shown, row, masker)

    async def _has_relay(self) -> bool:
        """The relay that is at work holds the lease of the service's own queue."""
        return bool(await self._app.client.call("EXISTS", self._app.queue().keys.outbox_lease()))


def _queue(shelved: Shelved) -> OutboxQueue:
    return OutboxQueue(
        shelved.queue, shelved.waiting, shelved.set_aside, shelved.counted_to, oldest_at_ms=_ms(shelved.oldest_at)
    )


def _with_data(shown: OutboxJob, row: ShelfRow, masker: Masker) -> OutboxJob:
    if row.data is None or row.job is None:
        return replace(shown, is_whole=False)
    try:
        envelope, rest = wire.decode_data(row.data), encoding.as_object(PLAIN.payload(encoding.decode_json(row.job)))
    except ValueError as error:
        return replace(shown, problem=f"it cannot be read: {error}", raw=masker.raw(row.data))
    related = None if envelope.related is None else f"{envelope.related.type}:{envelope.related.id}"
    beside = {"createdBy": envelope.created_by, "related": related, "orderKey": envelope.order_key}
    asked = {
        **beside,
        "priority": rest.get("priority"),
        "delayMs": rest.get("delay_ms"),
        "options": rest.get("options"),
    }
    return replace(
        shown,
        payload=masker.payload(envelope.payload),
        asked={name: value for name, value in asked.items() if value not in _NOTHING},
    )


def _ms(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(milliseconds=1)
