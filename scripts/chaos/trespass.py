"""Trespass: script calls under the token of a run that is over, which wrote to what its successor holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

from scripts.chaos.watch import Seen

WRITES: Final = frozenset(
    {"set", "del", "unlink", "expire", "pexpire", "hset", "hmset", "hdel", "hincrby", "rename", "zadd", "lrem", "incr"}
)


class Visit(NamedTuple):
    """The time in which a stale run was awake beside its successor. Units: epoch microseconds."""

    name: str
    began_us: int
    ended_us: int
    token: str
    """Of the stale run; a singleton's own token begins with it."""
    keys: Collection[str]
    """What the successor holds: its hash, its lock, the singleton's lock."""


def trespasses(seen: Sequence[Seen], visits: Iterable[Visit]) -> list[str]:
    """The writes of such calls. Redis shows a script call first, then what the script did."""
    return [fault for visit in visits for fault in _of_one(seen, visit)]


def _of_one(seen: Sequence[Seen], visit: Visit) -> list[str]:
    found: list[str] = []
    is_stale = False
    for one in seen:
        if not visit.began_us <= one.at_us <= visit.ended_us:
            continue
        if not one.by_script:
            is_stale = any(visit.token in word for word in one.words)
        elif is_stale and one.words[0].lower() in WRITES and any(word in visit.keys for word in one.words[1:]):
            found.append(f"{visit.name}: {' '.join(one.words)}")
    return found
