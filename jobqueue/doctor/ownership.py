"""Ownership: each key of ours has an end, its time limit or the job that it belongs to. Which have lost it?"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from jobqueue.doctor.check import Check
from jobqueue.doctor.scanning import keys_like, members_of
from jobqueue.errors import RedisReplyError
from jobqueue.queue import Queue

MAX_SCANNED: Final = 1_000_000
"""Keys of Redis that are looked at; a larger one is looked at in part, and the check says so."""

_GLOB = re.compile(r"([\\*?\[\]])")
_ENDLESS = -1
_GONE = -2

Verdict: TypeAlias = Literal["owned", "orphan", "unattended"]
"""`unattended`: order key or limit with parked jobs that is not in the index of those, so no repair comes round."""


@dataclass(frozen=True, slots=True)
class Survey:
    """What was found among the own keys of a queue. `is_whole` is False where Redis holds more than was looked at."""

    seen: int
    orphans: Sequence[str]
    unattended: Sequence[str]
    is_whole: bool


async def survey_own_keys(queue: Queue, max_scanned: int) -> Survey:
    """Every key of ours, judged. What seems lost is looked at once more, since the queue goes on meanwhile."""
    seen, is_whole, found = 0, False, dict[str, Verdict]()
    async for batch, is_last in keys_like(queue.client, _GLOB.sub(r"\\\1", queue.keys.of("job:")) + "*", max_scanned):
        seen, is_whole = seen + len(batch), is_last
        suspects = await _not_owned(queue, batch)
        found.update(await _not_owned(queue, suspects))
    orphans = [key for key, verdict in found.items() if verdict == "orphan"]
    return Survey(seen, orphans, [key for key, verdict in found.items() if verdict == "unattended"], is_whole)


async def _not_owned(queue: Queue, keys: Iterable[str]) -> dict[str, Verdict]:
    asked = tuple(keys)
    verdicts = await asyncio.gather(*(_judge(queue, key) for key in asked))
    return {key: verdict for key, verdict in zip(asked, verdicts, strict=True) if verdict != "owned"}


def check_own_keys(queue: Queue, survey: Survey, max_scanned: int) -> Check:
    """Keys of ours that have lost their owner: a lane or a mark without its job, anything without an end."""
    name, orphans = f"own keys of {queue.name}", survey.orphans
    in_part = "" if survey.is_whole else f" (found among {max_scanned} keys; Redis holds more)"
    if not orphans:
        return Check(name, "ok", f"{survey.seen}, none without an owner{in_part}")
    detail = f"{len(orphans)} of {survey.seen} have no owner: {some_of(orphans)}{in_part}"
    advice = "Delete them with UNLINK while no worker runs; those with a TTL also end by themselves."
    return Check(name, "warning", detail, advice)


def check_gates(queue: Queue, survey: Survey) -> Check:
    """Order keys and limits whose parked jobs wait for ever if the holder dies."""
    name, gates = f"order keys and limits of {queue.name}", survey.unattended
    if not gates:
        return Check(name, "ok", "every one with parked jobs is looked after")
    detail = (
        f"{len(gates)} with parked jobs are not in {queue.keys.parked()}, so no worker mends them: {some_of(gates)}"
    )
    advice = f"Run ZADD {queue.keys.parked()} 0 KEY for each; a worker mends it within seconds."
    return Check(name, "warning", detail, advice)


def some_of(names: Sequence[str]) -> str:
    return f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''}"


async def _judge(queue: Queue, key: str) -> Verdict:
    kind, _, rest = key.removeprefix(queue.keys.of("job:")).partition(":")
    ttl_ms: int = await queue.client.call("PTTL", key)
    if ttl_ms == _GONE:
        return "owned"  # it has ended since
    try:
        match kind:
            case "order" | "limit":
                return await _judge_gate(queue, key, ttl_ms)
            case "gates":
                return _orphan_if(await _has_only_dead(queue, "zset", key, str))
            case "cron" if rest == "schedulers":
                return _orphan_if(await _follows_nothing(queue, key))
            case _ if ttl_ms == _ENDLESS:
                return "orphan"
            case _:
                return _orphan_if(await _has_lost_its_job(queue, key, kind, rest))
    except RedisReplyError as error:
        if error.code != "WRONGTYPE":
            raise
        return "orphan"  # nothing of ours writes or ends it


def _orphan_if(is_orphan: bool) -> Verdict:
    return "orphan" if is_orphan else "owned"


async def _judge_gate(queue: Queue, key: str, ttl_ms: int) -> Verdict:
    """With parked jobs it has no time limit, but a place in the index; see lua/_gates.lua."""
    if await _has_only_dead(queue, "zset", key, queue.keys.job):
        return "orphan"
    is_attended = ttl_ms != _ENDLESS or await queue.client.call("ZSCORE", queue.keys.parked(), key) is not None
    return "owned" if is_attended else "unattended"


# A job and what it holds end in one step. So a key that still names its job after that was seen to be gone has lost it,
# and one that no longer does has ended in between.


async def _has_lost_its_job(queue: Queue, key: str, kind: str, rest: str) -> bool:
    """False for kinds that are ended by their time limit alone."""
    match kind:
        case "superseded" | "ack":
            return not await _exists(queue, queue.keys.job(rest)) and await _exists(queue, key)
        case "cancel":
            return await _means_another_job(queue, key, rest)
        case "lane" | "unique" | "overlap":
            holder = await queue.client.call("HGET", key, "holder")
            if holder is None or await _exists(queue, queue.keys.job(holder)):
                return False
            return bool(await queue.client.call("HGET", key, "holder") == holder)
        case "related":
            return await _has_only_dead(queue, "set", key, queue.keys.job)
        case _:
            return False


async def _follows_nothing(queue: Queue, key: str) -> bool:
    """Whether none of the schedulers that are ours is there; the passes of any worker put them back, or end the key."""
    ours = await queue.client.call("HKEYS", key)
    if not ours:
        return False
    slots = await queue.client.call("ZMSCORE", queue.keys.of("repeat"), *ours)
    return all(slot is None for slot in slots) and await _exists(queue, key)


async def _exists(queue: Queue, key: str) -> bool:
    return bool(await queue.client.call("EXISTS", key))


async def _means_another_job(queue: Queue, mark: str, job_id: str) -> bool:
    """The mark names when its job was enqueued: one of a removed job says nothing of a later one with the same id."""
    said: str | None = await queue.client.call("GET", mark)
    enqueued_at = await queue.client.call("HGET", queue.keys.job(job_id), "timestamp")
    if said is None or said.partition(":")[0] == enqueued_at:
        return False
    return bool(await queue.client.call("GET", mark) == said)


async def _has_only_dead(queue: Queue, kind: Literal["set", "zset"], key: str, key_of: Callable[[str], str]) -> bool:
    """Whether there is a member without a key of its own, and none with one."""
    has_dead = False
    async for batch in members_of(queue.client, kind, key):
        if batch:
            if await queue.client.call("EXISTS", *map(key_of, batch)):
                return False
            has_dead = has_dead or await _has_any(queue, kind, key, batch)
    return has_dead


async def _has_any(queue: Queue, kind: Literal["set", "zset"], key: str, members: Iterable[str]) -> bool:
    if kind == "set":
        return any(await queue.client.call("SMISMEMBER", key, *members))
    return any(score is not None for score in await queue.client.call("ZMSCORE", key, *members))
