"""Kinship: jobs by the keys and places that name them, with their names and states."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple, cast

from jobqueue.errors import InvalidOption
from jobqueue.inspector.stored import clean
from jobqueue.inspector.views import Kin
from jobqueue.job import State
from jobqueue.keys import QueueKeys
from jobqueue.redis.client import Client
from jobqueue.scripts import own

MAX_KIN: Final = 200
"""Jobs that are looked at in one step."""

_STATE_KEYS = ("completed", "failed", "delayed", "prioritized", "waiting-children", "active")
_LAST = 2**53
_DIGITS = re.compile(r"([0-9]{1,18})")


class Place(NamedTuple):
    """Where a job is: what names it from outside its queue."""

    queue: str
    id: str


class _Known(NamedTuple):
    kin: Kin
    age: tuple[int, int, list[str | int]]
    """By which brothers stand in the order in which they were added."""


def place_of(prefix: str, key: str) -> Place | None:
    """The queue and id of a job's key; None for a key below another prefix, which is nobody's here."""
    if not key.startswith(f"{prefix}:"):
        return None
    queue, _, job_id = key.removeprefix(f"{prefix}:").partition(":")
    return Place(queue, job_id) if queue and job_id else None


async def kin_of(client: Client, prefix: str, places: Sequence[Place]) -> tuple[Kin, ...]:
    """The jobs in these places, in the order given; those that are gone too."""
    known = await _look_up(client, prefix, places)
    return tuple(known[place].kin for place in places)


async def in_order(client: Client, prefix: str, places: Sequence[Place]) -> list[tuple[Place, Kin]]:
    """The jobs in these places, in the order in which they were enqueued; those that are gone come last."""
    known = await _look_up(client, prefix, places)
    return [(place, known[place].kin) for place in sorted(known, key=lambda place: known[place].age)]


async def _look_up(client: Client, prefix: str, places: Iterable[Place]) -> dict[Place, _Known]:
    by_queue: dict[str, list[str]] = {}
    for place in dict.fromkeys(places):
        by_queue.setdefault(place.queue, []).append(place.id)
    batches = [
        (queue, ids[start : start + MAX_KIN])
        for queue, ids in by_queue.items()
        for start in range(0, len(ids), MAX_KIN)
    ]
    answers = await asyncio.gather(*(_batch(client, prefix, queue, ids) for queue, ids in batches))
    return {
        Place(queue, job_id): one
        for (queue, ids), answer in zip(batches, answers, strict=True)
        for job_id, one in zip(ids, answer, strict=True)
    }


async def _batch(client: Client, prefix: str, queue: str, ids: Sequence[str]) -> list[_Known]:
    try:
        keys = QueueKeys(prefix, queue)
    except InvalidOption:  # a foreign job may name a queue that we could not have
        return [_known(queue, job_id, "unknown") for job_id in ids]
    found: list[list[str]] = await client.run(own("kinOf"), keys.each(_STATE_KEYS), [keys.base, *ids])
    return [_known(queue, job_id, *parts) for job_id, parts in zip(ids, found, strict=True)]


def _known(queue: str, job_id: str, state: str, name: str = "", timestamp: str = "", place: str = "") -> _Known:
    kin = Kin(clean(queue), clean(job_id), clean(name) or None, cast(State, state))
    return _Known(kin, (_number(timestamp, _LAST), _number(place, 0), naturally(job_id)))


def _number(text: str, otherwise: int) -> int:
    return int(text) if _DIGITS.fullmatch(text) else otherwise


def naturally(job_id: str) -> list[str | int]:
    """What sorts ids so that "a.10" comes behind "a.9"."""
    return [int(part) if nth % 2 else part for nth, part in enumerate(_DIGITS.split(job_id))]
