"""Audit: who did what to a queue, and what came of it. The records, and how the log is read."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple

from pydantic import JsonValue

from jobqueue import encoding, wire
from jobqueue.app import App
from jobqueue.errors import InvalidOption, RedisReplyError
from jobqueue.inspector.stored import clean

MAX_ENTRIES: Final = 100
"""Of one page."""

Via = Literal["basic", "bearer", "local", "command line"]

_PLACE = re.compile(r"([0-9]{1,20})-([0-9]{1,20}):([^:]*)")
_LARGEST: Final = 2**64 - 1
_NEEDED: Final = frozenset({"actor", "via", "action"})


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, how he was let in, and the request that the act belongs to."""

    name: str
    via: Via
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One act. It is noted when it begins, and what came of it is added when it ends.

    `outcome` is "done", "refused: …" or "failed: …"; None for an act whose end was never written: it is being done, or
    was cut short. `count` is how many jobs it was done to, where it was about more than one. `details` are masked.
    Units: epoch milliseconds, by the clock of Redis.
    """

    id: str
    at_ms: int
    actor: str
    via: str
    action: str
    queue: str
    target: str | None = None
    details: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    outcome: str | None = None
    count: int | None = None
    finished_at_ms: int | None = None
    request_id: str | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some entries, newest first. `next` is what to ask for as `before` to see the older ones; None at the end."""

    entries: tuple[AuditEntry, ...]
    next: str | None


class _Place(NamedTuple):
    """Where an entry stands among those of all queues."""

    ms: int
    sequence: int
    queue: str

    def __str__(self) -> str:
        return entry_id(f"{self.ms}-{self.sequence}", self.queue)


def entry_id(stream_id: str, queue: str) -> str:
    """The id of an entry among those of all queues."""
    return f"{stream_id}:{queue}"


_Row = tuple[_Place, Mapping[str, str]]


class AuditTrail:
    """Reads the logs of an app's queues. Shape: see `QueueKeys.audit`."""

    def __init__(self, app: App) -> None:
        self._app = app

    async def page(self, queues: Iterable[str], before: str | None, limit: int) -> AuditPage:
        """The entries of some queues as one list. What is no entry of ours is passed over.

        Raises: InvalidOption for a `before` that no page gave.
        """
        place = None if before is None else _place_of(before)
        limit = min(max(limit, 1), MAX_ENTRIES)
        found = await asyncio.gather(*(self._rows(queue, place, limit + 1) for queue in queues))
        rows = sorted((row for rows in found for row in rows), key=lambda row: row[0], reverse=True)
        shown = rows[:limit]
        entries = tuple(entry for entry in map(_entry, shown) if entry is not None)
        return AuditPage(entries, str(shown[-1][0]) if len(rows) > limit else None)

    async def entry(self, entry_id: str) -> AuditEntry | None:
        """One entry by its id; None where it is gone, and where no entry has this id."""
        place = _parsed(entry_id)
        if place is None:
            return None
        at = f"{place.ms}-{place.sequence}"
        return next((entry for row in await self._read(place.queue, at, at, 1) if (entry := _entry(row))), None)

    async def _rows(self, queue: str, before: _Place | None, most: int) -> list[_Row]:
        return await self._read(queue, _last(queue, before), "-", most)

    async def _read(self, queue: str, last: str, first: str, most: int) -> list[_Row]:
        try:
            reply = await self._app.client.call(
                "XREVRANGE", self._app.queue(queue).keys.audit(), last, first, "COUNT", most
            )
        except RedisReplyError as error:
            if error.code != "WRONGTYPE":
                raise
            return []  # no log of ours
        return [(_row_place(entry_id, queue), wire.pairs(flat)) for entry_id, flat in reply]


def _last(queue: str, before: _Place | None) -> str:
    """The newest id of a queue's entries that stands behind the place: of one moment the queue's name decides."""
    if before is None:
        return "+"
    return f"{'' if queue < before.queue else '('}{before.ms}-{before.sequence}"


def _parsed(entry_id: str) -> _Place | None:
    match = _PLACE.fullmatch(entry_id)
    if match is None or max(int(match[1]), int(match[2])) > _LARGEST or not match[3]:
        return None
    return _Place(int(match[1]), int(match[2]), match[3])


def _place_of(before: str) -> _Place:
    place = _parsed(before)
    if place is None:
        raise InvalidOption("before", f"must be what a page gave as its next, not {before!r:.100}")
    if place[:2] == (0, 0):  # no entry has this id, and nothing is before it
        raise InvalidOption("before", "must be what a page gave as its next; nothing is before 0-0")
    return place


def _row_place(entry_id: str, queue: str) -> _Place:
    ms, _, sequence = entry_id.partition("-")
    return _Place(int(ms), int(sequence), queue)


def _entry(row: _Row) -> AuditEntry | None:
    place, raw = row
    if not raw.keys() >= _NEEDED:
        return None
    fields = {name: clean(text) for name, text in raw.items()}
    began_ms = _number(fields.get("began", "").partition("-")[0])
    return AuditEntry(
        id=str(place),
        at_ms=place.ms if began_ms is None else began_ms,
        actor=fields["actor"],
        via=fields["via"],
        action=fields["action"],
        queue=place.queue,
        target=fields.get("target"),
        details=encoding.as_object(encoding.decode_result(fields.get("details"))),
        outcome=fields.get("outcome"),
        count=_number(fields.get("count")),
        finished_at_ms=place.ms if "outcome" in fields else None,
        request_id=fields.get("requestId"),
    )


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and re.fullmatch(r"[0-9]{1,16}", text) else None
