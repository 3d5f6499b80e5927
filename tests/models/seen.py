"""Seen: everything that Redis holds of a queue at one moment, and what must hold of it whatever the pattern."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, cast

from jobqueue import App

_LISTS: Final = ("wait", "active")
_SORTED: Final = ("prioritized", "delayed", "waiting-children", "completed", "failed")
_ENDED: Final = ("completed", "failed")


class OwnKey(NamedTuple):
    """A key of ours. `value` is what it holds: member or field -> score or value; a text under "".

    Units: `ttl_ms` is -1 where it has no end.
    """

    kind: str
    rest: str
    ttl_ms: int
    value: Mapping[str, str]

    @property
    def name(self) -> str:
        return f"job:{self.kind}:{self.rest}"

    @property
    def owners(self) -> list[str]:
        """The jobs that it belongs to."""
        if self.kind in ("superseded", "cancel", "ack"):
            return [self.rest]
        if self.kind in ("lane", "unique", "lock"):
            return [self.value["job" if self.kind == "lock" else "holder"]]
        return [] if self.kind in ("care", "fence", "rate", "starts", "gates") else list(self.value)

    @property
    def holders(self) -> list[str]:
        """Of a gate, those whom it let through."""
        return [member for member, score in self.value.items() if float(score) == 0]

    @property
    def parked(self) -> list[str]:
        """Of a gate, those who stand before it, the next one first."""
        return [member for member, score in self.value.items() if float(score) != 0]


class Seen(NamedTuple):
    """One moment. `locks` are the tokens of the active jobs; `stored` the ids that have a job's hash."""

    places: Mapping[str, Sequence[str]] = {}
    locks: Mapping[str, str] = {}
    stored: frozenset[str] = frozenset()
    own: Mapping[str, OwnKey] = {}

    def of_kind(self, *kinds: str) -> list[OwnKey]:
        return [key for key in self.own.values() if key.kind in kinds]

    def is_unfinished(self, job_id: str) -> bool:
        return job_id in self.stored and not any(job_id in self.places[place] for place in _ENDED)

    def mark(self, kind: str, job_id: str) -> str | None:
        key = self.own.get(f"job:{kind}:{job_id}")
        return None if key is None else key.value[""]


async def look(app: App) -> Seen:
    """Read it all."""
    keys, call = app.queue().keys, app.client.call
    lists = (call("LRANGE", keys.of(name), 0, -1) for name in _LISTS)
    zsets = (call("ZRANGE", keys.of(name), 0, -1) for name in _SORTED)
    *found, names = await asyncio.gather(*lists, *zsets, call("KEYS", keys.base + "*"))
    places: dict[str, list[str]] = dict(zip((*_LISTS, *_SORTED), found, strict=True))
    names = sorted(name.removeprefix(keys.base) for name in names)
    own = [name for name in names if name.startswith("job:")]
    ids = list(dict.fromkeys(job_id for place in places.values() for job_id in place))
    locked = [name.removesuffix(":lock") for name in names if name.endswith(":lock") and name not in own]
    tokens, stored, own_keys = await asyncio.gather(
        asyncio.gather(*(call("GET", keys.job_lock(job_id)) for job_id in locked)),
        asyncio.gather(*(call("HEXISTS", keys.job(job_id), "name") for job_id in ids)),
        asyncio.gather(*(_read_own(app, name) for name in own)),
    )
    return Seen(
        places,
        dict(zip(locked, tokens, strict=True)),
        frozenset(job_id for job_id, is_stored in zip(ids, stored, strict=True) if is_stored),
        {key.name: key for key in own_keys},
    )


async def _read_own(app: App, name: str) -> OwnKey:
    key, call = app.queue().keys.of(name), app.client.call
    kind = await call("TYPE", key)
    commands: dict[str, tuple[str | int, ...]] = {
        "zset": ("ZRANGE", key, 0, -1, "WITHSCORES"),
        "hash": ("HGETALL", key),
        "set": ("SMEMBERS", key),
        "list": ("LRANGE", key, 0, -1),
        "string": ("GET", key),
    }
    ttl_ms, value = await asyncio.gather(call("PTTL", key), call(*commands[kind]))
    _, what, rest = name.split(":", 2)
    return OwnKey(what, rest, ttl_ms, _as_mapping(kind, value))


def _as_mapping(kind: str, value: Any) -> Mapping[str, str]:
    if kind == "string":
        return {"": value}
    parts = cast(Sequence[str], value)
    if kind in ("zset", "hash"):
        pairs = iter(parts)
        return dict(zip(pairs, pairs, strict=True))
    return {
        part if kind == "set" else str(place): part
        for place, part in enumerate(sorted(parts) if kind == "set" else parts)
    }


def check_everywhere(seen: Seen, without_lock: Collection[str], lost: Collection[str]) -> None:
    """Each id in exactly one place, with its job, but those whose job was lost; each active job with one lock, but
    those whose lock was taken away.
    """
    counts = Counter(job_id for place in seen.places.values() for job_id in place)
    several = {job_id: list(_places_of(seen, job_id)) for job_id, count in counts.items() if count > 1}
    assert not several, f"in several places: {several}"
    ghosts = set(counts) - seen.stored - set(lost)
    assert not ghosts, f"without a job: {ghosts}"
    active = set(seen.places["active"])
    assert set(seen.locks) <= active, f"locked, but not active: {set(seen.locks) - active}"
    unlocked = active - set(seen.locks) - set(without_lock)
    assert not unlocked, f"active without a lock: {unlocked}"


def _places_of(seen: Seen, job_id: str) -> Iterator[str]:
    for name, ids in seen.places.items():
        yield from [name] * list(ids).count(job_id)


def check_gates(seen: Seen) -> None:
    """Who is parked is in waiting-children and before one gate; the index has all gates with parked jobs."""
    gates = seen.of_kind("order", "limit")
    before = Counter(job_id for gate in gates for job_id in gate.parked)
    waiting = seen.stored.intersection(seen.places["waiting-children"])
    stored_before = seen.stored.intersection(before)
    assert waiting <= set(before), f"in waiting-children, before no gate: {waiting - set(before)}"
    assert stored_before <= waiting, f"before a gate, not in waiting-children: {stored_before - waiting}"
    assert all(count == 1 for count in before.values()), f"before two gates: {before}"
    index = seen.own.get("job:gates:parked")
    indexed = {name.split(":", 2)[2] for name in index.value} if index else set[str]()
    with_parked = {gate.name for gate in gates if gate.parked}
    assert with_parked <= indexed, f"the index has {indexed}, jobs are parked before {with_parked}"
    held = {gate.name for gate in gates if gate.holders}
    assert indexed <= held | with_parked, f"the index has {indexed}, which nobody holds and nobody waits for"
    endless = {gate.name for gate in gates if gate.ttl_ms == -1}
    assert endless == indexed, f"gates without an end: {endless}; with an end, but parked jobs: {indexed - endless}"
