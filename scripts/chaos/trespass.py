"""Trespass: script calls under the token of a run that is over, which wrote to what its successor holds."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from scripts.chaos.watch import Seen

WRITES: Final = frozenset(
    {
        *("set", "del", "unlink", "expire", "pexpire", "persist", "rename", "incr"),
        *(
            "hset",
            "hmset",
            "hdel",
            "hincrby",
            "zadd",
            "zrem",
            "sadd",
            "srem",
            "lpush",
            "rpush",
            "lrem",
            "ltrim",
            "xadd",
        ),
    }
)
_OF_MEMBERS: Final = frozenset({"zadd", "zrem", "sadd", "srem", "lpush", "rpush", "lrem"})


class Visit(NamedTuple):
    """The time in which a stale run was awake beside its successor. Units: epoch microseconds."""

    name: str
    began_us: int
    ended_us: int
    token: str
    """Of the stale run; a singleton's own token begins with it."""
    job_id: str
    """The successor's job."""
    keys: Collection[str]
    """What the successor holds: its hash, its lock, its log, the singleton's lock, its gate, …"""


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
        elif is_stale and _touches(one.words, visit):
            found.append(f"{visit.name}: {' '.join(one.words)}")
    return found


def _touches(words: Sequence[str], visit: Visit) -> bool:
    """Whether a command writes to one of the keys, moves the job from list to list, or tells an event of it."""
    command, *rest = words
    if command.lower() not in WRITES:
        return False
    if any(word in visit.keys for word in rest):
        return True
    if command.lower() == "xadd":
        return any(pair == ("jobId", visit.job_id) for pair in pairwise(rest))
    return command.lower() in _OF_MEMBERS and not rest[0].endswith(":marker") and rest[-1] == visit.job_id
