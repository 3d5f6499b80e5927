"""Family: who created a job, what it created, and the flow that it is in."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from jobqueue import wire
from jobqueue.app import App
from jobqueue.errors import JobNotFound
from jobqueue.inspector.kinship import Place, in_order, kin_of, place_of
from jobqueue.inspector.stored import read
from jobqueue.inspector.views import Branch, Family, Kin
from jobqueue.keys import QueueKeys, placed
from jobqueue.scripts import own

MAX_DEPTH: Final = 10
"""Levels of a flow that are shown, and how far up its root is looked for."""
MAX_BRANCHES: Final = 200
"""Jobs of a flow that are shown."""
MAX_CREATED: Final = 100

_CHILD_KEYS = ("dependencies", "processed", "failed", "unsuccessful")


@dataclass(slots=True)
class _Node:
    """A job of a flow while the tree is put together."""

    place: Place
    kin: Kin
    children: list[_Node] = field(default_factory=list["_Node"])
    more: int = 0

    def branch(self) -> Branch:
        return Branch(self.kin, tuple(child.branch() for child in self.children), self.more)


class FamilyTree:
    """Looks for a job's relatives, in whatever queue under the app's prefix they are."""

    def __init__(self, app: App) -> None:
        self._client = app.client
        self._prefix = app.settings.jobs_prefix
        self._app = app

    async def of(self, queue: str, job_id: str) -> Family:
        """Raises: JobNotFound."""
        keys = self._keys(Place(queue, job_id))
        fields = await read(self._client, "HMGET", keys.job(job_id), "timestamp", "parentKey", "data")
        if fields is None or fields[0] is None:
            raise JobNotFound(job_id, queue)
        _, parent_key, data = fields
        creator, (created, count), flow = await asyncio.gather(
            self._creator(Place(queue, job_id), _created_by(data)),
            self._created(keys, job_id),
            self._flow(Place(queue, job_id), parent_key),
        )
        return Family(creator, created, count, flow)

    # Creating

    async def _creator(self, place: Place, named: str | None) -> Kin | None:
        """A job of that id which is known to have created this one, in any queue of a handler; else that of this queue.

        Whoever is named as the creator need not be a job.
        """
        if named is None:
            return None
        queues = tuple(dict.fromkeys((place.queue, *self._app.queue_names())))
        entry = placed(place.queue, place.id)
        asked = (read(self._client, "ZSCORE", self._keys(Place(one, named)).created(named), entry) for one in queues)
        known = [queue for queue, found in zip(queues, await asyncio.gather(*asked), strict=True) if found is not None]
        [kin] = await kin_of(self._client, self._prefix, [Place((*known, place.queue)[0], named)])
        return None if kin.state == "unknown" and kin.name is None else kin

    async def _created(self, keys: QueueKeys, job_id: str) -> tuple[tuple[Kin, ...], int]:
        """The last ones, and how many there were: the number of the last."""
        key = keys.created(job_id)
        flat = await read(self._client, "ZRANGE", key, 0, MAX_CREATED - 1, "REV", "WITHSCORES")
        numbers = wire.pairs(flat or ())
        places = [Place(queue, one) for queue, _, one in (entry.partition(":") for entry in numbers)]
        last = next(iter(numbers.values()), "")
        return await kin_of(self._client, self._prefix, places), int(last) if last.isdecimal() else len(places)

    # The flow

    async def _flow(self, place: Place, parent_key: str | None) -> Branch | None:
        """The tree from its root; of a very large one the part that the job is in is always shown."""
        line = await self._line(place, parent_key)
        [kin] = await kin_of(self._client, self._prefix, [line[0]])
        root = _Node(line[0], kin)
        level, left = [root], MAX_BRANCHES - 1
        for depth in range(MAX_DEPTH):
            found = await asyncio.gather(*(self._children(node.place) for node in level))
            for node, (count, places) in zip(level, found, strict=True):
                shown = _first_of(places, line)[: left if depth < MAX_DEPTH - 1 else 0]
                left -= len(shown)
                node.more = count - len(shown)
                node.children = [_Node(*one) for one in await in_order(self._client, self._prefix, shown)]
            level = [child for node in level for child in node.children]
            if not level:
                break
        return root.branch() if root.children or root.more else None

    async def _line(self, place: Place, parent_key: str | None) -> list[Place]:
        """The job and those above it, the root first; a parent that is gone is none."""
        line = [place]
        while parent_key and len(line) < MAX_DEPTH:
            above = place_of(self._prefix, parent_key)
            if above is None or above in line:
                break
            fields = await read(self._client, "HMGET", f"{self._prefix}:{above.queue}:{above.id}", "name", "parentKey")
            if fields is None or fields[0] is None:
                break
            line.append(above)
            parent_key = fields[1]
        return line[::-1]

    async def _children(self, place: Place) -> tuple[int, list[Place]]:
        base = f"{self._prefix}:{place.queue}:{place.id}"
        keys = [f"{base}:{word}" for word in _CHILD_KEYS]
        count, found = await self._client.run(own("childrenOf"), keys, [MAX_BRANCHES])
        places = (place_of(self._prefix, key) for key in found)
        return count, [one for one in places if one is not None]

    def _keys(self, place: Place) -> QueueKeys:
        return QueueKeys(self._prefix, place.queue)


def _first_of(places: Sequence[Place], line: Sequence[Place]) -> list[Place]:
    """The same places, those that lead to the job first, so that a bound does not cut them off."""
    return sorted(places, key=lambda place: place not in line)


def _created_by(data: str | None) -> str | None:
    """Who is named as the creator, where the data can be read."""
    try:
        return wire.decode_data(data or "{}").created_by
    except ValueError:
        return None
