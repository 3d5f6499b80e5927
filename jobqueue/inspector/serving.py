"""Serving: which workers some queues have, without a look at what they run, and which queues have none."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, TypeVar

from jobqueue.errors import RedisReplyError
from jobqueue.inspector.reading import state_word
from jobqueue.inspector.views import FINISHED, STATES
from jobqueue.presence import GONE_MS, Presence, read_presence
from jobqueue.queue import Queue
from jobqueue.redis.client import Client
from jobqueue.scripts import own

MAX_WORKERS: Final = 1_000
"""Workers of a queue that are listed."""
MAX_CLIENTS: Final = 5_000
"""In a Redis with more connections Node's workers are left out: the list of all holds it up for too long."""

_T = TypeVar("_T")
_MARK: Final = ":w:"
_QUEUES: Final = 100  # at a time
_UNFINISHED: Final = tuple(state_word(state) for state in STATES if state not in FINISHED)


class Record(NamedTuple):
    """What a worker of ours tells a queue. `start` begins its tokens there.

    Units: `seen_at_ms` epoch milliseconds, by Redis's clock.
    """

    start: str
    presence: Presence
    seen_at_ms: int


class Connection(NamedTuple):
    """Another's connection to a queue, as CLIENT LIST tells of it. `worker` is empty where it gives itself no name."""

    worker: str
    line: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class UnservedQueue:
    """A queue with unfinished jobs and no worker."""

    name: str
    unfinished: int


@dataclass(frozen=True, slots=True)
class Unserved:
    """The queues whose jobs nobody will run, the one with most of them first; up to `more` are not listed."""

    queues: tuple[UnservedQueue, ...]
    more: int


class Serving(NamedTuple):
    """The workers of one queue: ours, and the others."""

    records: Sequence[Record]
    connections: Sequence[Connection]


async def serving_of(client: Client, queues: Sequence[Queue], now_ms: int = 0) -> Mapping[str, Serving]:
    """By the name of the queue. `now_ms` is by Redis's clock; only for when they were seen is it needed."""
    if not queues:
        return {}
    connections, records = await asyncio.gather(_connections(client, queues), _records(client, queues, now_ms))
    return {
        queue.name: Serving(of_queue, _others(connections.get(queue.name, ()), of_queue))
        for queue, of_queue in zip(queues, records, strict=True)
    }


async def worker_counts(client: Client, queues: Sequence[Queue]) -> Mapping[str, int]:
    """How many workers each of the queues has."""
    found = await serving_of(client, queues)
    return {name: len(one.records) + len(one.connections) for name, one in found.items()}


async def unserved_of(client: Client, queues: Sequence[Queue]) -> list[UnservedQueue]:
    """Those with unfinished jobs and no worker, the one with most jobs first."""
    keys = [[queue.keys.of(word) for word in _UNFINISHED] for queue in queues]
    calls = (
        client.run(own("unfinished"), [key for of_queue in part for key in of_queue], [len(_UNFINISHED)])
        for part in _parts(keys)
    )
    counts = [count for part in await asyncio.gather(*calls) for count in part]
    busy = [(queue, count) for queue, count in zip(queues, counts, strict=True) if count]
    workers = await worker_counts(client, [queue for queue, _ in busy])
    found = (UnservedQueue(queue.name, count) for queue, count in busy if not workers[queue.name])
    return sorted(found, key=lambda one: (-one.unfinished, one.name))


def _parts(all_of_them: Sequence[_T]) -> list[Sequence[_T]]:
    return [all_of_them[first : first + _QUEUES] for first in range(0, len(all_of_them), _QUEUES)]


# Ours


async def _records(client: Client, queues: Sequence[Queue], now_ms: int) -> list[list[Record]]:
    calls = (
        client.run(
            own("workersOf"),
            [queue.keys.workers() for queue in part],
            [MAX_WORKERS, *(queue.keys.worker("") for queue in part)],
        )
        for part in _parts(queues)
    )
    return [_read(flat, now_ms) for part in await asyncio.gather(*calls) for flat in part]


def _read(flat: Sequence[str | int], now_ms: int) -> list[Record]:
    parts, found = iter(flat), list[Record]()
    for start, text, left_ms in zip(parts, parts, parts, strict=True):
        presence = read_presence(str(text))
        if presence is not None:
            found.append(Record(str(start), presence, now_ms - max(GONE_MS - int(left_ms), 0)))
    return found


# Others: known by the names of their connections, as Node's getWorkers reads them


async def _connections(client: Client, queues: Sequence[Queue]) -> Mapping[str, Sequence[Connection]]:
    """By the name of the queue; none where Redis does not let us look, or has too many."""
    names = {queue.keys.client_name("").removesuffix(_MARK): queue.name for queue in queues}
    found: defaultdict[str, list[Connection]] = defaultdict(list)
    for line in await _listed(client):
        name = line.get("name", "")
        marked_at = name.find(_MARK, len(queues[0].keys.prefix) + 1)
        beginning = name if marked_at < 0 else name[:marked_at]
        if beginning in names:
            found[names[beginning]].append(Connection(name[len(beginning) + len(_MARK) :], line))
    return found


async def _listed(client: Client) -> Sequence[Mapping[str, str]]:
    try:
        stats: str = await client.call("INFO", "clients")
        count = next((line for line in stats.splitlines() if line.startswith("connected_clients:")), ":0")
        if int(count.partition(":")[2]) > MAX_CLIENTS:
            return ()
        listed: str = await client.call("CLIENT", "LIST", "TYPE", "normal")
    except RedisReplyError:
        return ()
    return [_fields(line) for line in listed.splitlines()]


def _fields(line: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in line.split(" "))
    return {name: value for name, _, value in pairs}


def _others(connections: Sequence[Connection], ours: Sequence[Record]) -> Sequence[Connection]:
    known = {record.presence.name for record in ours}
    return [one for one in connections if one.worker not in known][:MAX_WORKERS]
