"""Rules: every kind of key that a queue has, ours and BullMQ's, and how it is seen that one has lost its owner.

One table, which `lua/judgeLeaks.lua` judges by. A key that no row is for is left alone, whatever it is.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from jobqueue.inspector.auditing import KEEP_MS as _KEEP_AUDIT_MS
from jobqueue.keys import QueueKeys
from jobqueue.presence import GONE_MS as _GONE_MS
from jobqueue.ties import KEEP_MS, LOCK_TTL_MS

_MINUTE_MS: Final = 60_000
_HOUR_MS: Final = 60 * _MINUTE_MS
_DAY_MS: Final = 24 * _HOUR_MS

OwnWord: TypeAlias = Literal["time", "mark", "said", "holder", "members", "line", "gate", "index", "schedulers"]
BullMQWord: TypeAlias = Literal["job", "part", "lock", "scheduler", "dedup", "listed", "stalled", "marker"]
Word: TypeAlias = OwnWord | BullMQWord
"""What `lua/judgeLeaks.lua` looks at."""
Type: TypeAlias = Literal["string", "hash", "list", "set", "zset", "stream", ""]


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of key or entry. `lost` says in words what one without an owner is.

    Units: `keep_ms` is the time limit that one is given which has lost its own; 0 for a kind that has none.
    """

    kind: str
    word: Word
    type: Type
    lost: str
    keep_ms: int = 0
    is_ours: bool = False


class Subject(NamedTuple):
    """One key or entry to be judged: the key without the queue's base, and the id that is in it, if any."""

    rule: Rule
    name: str
    id: str = ""

    def __str__(self) -> str:
        """As it is shown: an entry with the key that it stands in."""
        return f"{self.id} in {self.name}" if self.rule.word in ("listed", "stalled") else self.name

    def packed(self) -> Mapping[str, Any]:
        """As the script takes it."""
        rule = self.rule
        return {"rule": rule.word, "type": rule.type, "name": self.name, "id": self.id, "keep": rule.keep_ms}


def _own(kind: str, word: OwnWord, type_: Type, lost: str, keep_ms: int = 0) -> Rule:
    return Rule(kind, word, type_, lost, keep_ms, is_ours=True)


def _by_time(kind: str, keep_ms: int) -> Rule:
    """One that its time limit ends, and nothing else."""
    return _own(kind, "time", "", "it has lost its time limit", keep_ms)


_GONE: Final = "its job is gone or has finished"
_HOLDER: Final = "its holder is gone or has finished"
_MEMBERS: Final = "each of its jobs is gone or has finished"

OWN: Final[Mapping[str, Rule]] = {
    rule.kind: rule
    for rule in (
        _own("superseded", "mark", "string", _GONE, KEEP_MS),
        _own("cancel", "said", "string", _GONE, KEEP_MS),
        _own("ack", "said", "string", _GONE, KEEP_MS),
        _own("lane", "holder", "hash", _HOLDER, KEEP_MS),
        _own("unique", "holder", "hash", _HOLDER, KEEP_MS),
        _own("overlap", "holder", "hash", _HOLDER, KEEP_MS),
        _own("related", "members", "set", _MEMBERS, KEEP_MS),
        _own("booked", "line", "zset", _MEMBERS, KEEP_MS),
        _own("order", "gate", "zset", _MEMBERS),
        _own("limit", "gate", "zset", _MEMBERS),
        _own("gates", "index", "zset", "each order key and limit in it is gone"),
        _own("cron:schedulers", "schedulers", "hash", "each scheduler in it is gone"),
        # A run whose job somebody removed is at work still, and another must not start beside it: it ends by time.
        _by_time("lock", LOCK_TTL_MS),
        _by_time("fence", _DAY_MS),
        _by_time("rate", KEEP_MS),
        _by_time("care", _MINUTE_MS),
        _by_time("created", 7 * _DAY_MS),
        _by_time("creators", 7 * _DAY_MS),
        _by_time("cron:passes", _DAY_MS),
        _by_time("cron:history", 7 * _DAY_MS),
        _by_time("cron:look", _MINUTE_MS),
        _by_time("cron:fired", _DAY_MS),
        _by_time("overflow", KEEP_MS),
        _by_time("outbox:hold", _HOUR_MS),
        _by_time("outbox:lease", _MINUTE_MS),
        _by_time("outbox:moved", KEEP_MS),
        _by_time("stats", 8 * _DAY_MS),
        _by_time("worker", _GONE_MS),
        _by_time("workers", _HOUR_MS),
        _by_time("audit", _KEEP_AUDIT_MS),
    )
}
"""Ours by their kind, `job:<kind>:…`; where a kind has several of one name each, with that name."""

JOB: Final = Rule("job", "job", "hash", "the job stands in no list: nothing will ever run, show or remove it")
LOCK: Final = Rule("lock", "lock", "string", "the job is not active")
PARTS: Final[Mapping[str, Rule]] = {
    "lock": LOCK,
    "logs": Rule("logs", "part", "list", "the job is gone"),
    "dependencies": Rule("dependencies", "part", "set", "the job is gone"),
    "processed": Rule("processed", "part", "hash", "the job is gone"),
    "failed": Rule("failed children", "part", "hash", "the job is gone"),
    "unsuccessful": Rule("unsuccessful", "part", "zset", "the job is gone"),
}
"""What stands beside a job's hash, by the end of its key."""
SCHEDULER: Final = Rule("scheduler", "scheduler", "hash", "it has no next time, so it never comes round")
DEDUPLICATION: Final = Rule("deduplication", "dedup", "string", "the job is gone, and new ones are refused for it")
STALLED: Final = Rule("stalled", "stalled", "set", "the job is not active")
MARKER: Final = Rule("marker", "marker", "zset", "there is no job that it could wake a worker for")
KINDS: Final[Mapping[str, Literal["list", "set", "zset"]]] = {
    **dict.fromkeys(("wait", "paused", "active"), "list"),
    **dict.fromkeys(("delayed", "prioritized", "waiting-children", "completed", "failed"), "zset"),
    "stalled": "set",
}
"""Where BullMQ lists jobs, by the key."""
ENTRIES: Final[Mapping[str, Rule]] = {
    state: STALLED if kind == "set" else Rule("entry", "listed", kind, "there is no such job")
    for state, kind in KINDS.items()
}

_BULLMQ_WORDS: Final = frozenset(
    (*KINDS, "id", "pc", "meta", "events", "marker", "limiter", "stalled-check", "repeat", "de", "metrics")
)
_SLOT: Final = re.compile(r"(repeat:.+:\d+?)(?::([a-z]+))?")


def subject_of(keys: QueueKeys, key: str) -> Subject | None:
    """What a key is, told by its name alone; None for what no rule is for."""
    name = key.removeprefix(keys.base)
    word, colon, rest = name.partition(":")
    if not colon:
        return None if name in _BULLMQ_WORDS else Subject(JOB, name, name)
    match word:
        case "job":
            return _own_subject(name, rest)
        case "repeat":
            return _subject_of_scheduler(name, rest)
        case "de":
            return Subject(DEDUPLICATION, name, rest)
        case _ if word in _BULLMQ_WORDS or rest not in PARTS:
            return None
        case _:
            return Subject(PARTS[rest], name, word)


def is_own(name: str) -> bool:
    """Whether a key, without its queue's base, is one of ours that there is a rule for."""
    word, _, rest = name.partition(":")
    return word == "job" and _own_subject(name, rest) is not None


def _own_subject(name: str, rest: str) -> Subject | None:
    kind, _, identity = rest.partition(":")
    rule = OWN.get(kind) or OWN.get(f"{kind}:{identity}") or OWN.get(f"{kind}:{identity.partition('-')[0]}")
    return Subject(rule, name, identity) if rule is not None and identity else None


def _subject_of_scheduler(name: str, scheduler_id: str) -> Subject | None:
    """A scheduler, a job that it made, or what stands beside such a job."""
    slot = _SLOT.fullmatch(name)
    if slot is None:
        return Subject(SCHEDULER, name, scheduler_id)
    job_id, part = slot.groups()
    if part is None:
        return Subject(JOB, name, job_id)
    return Subject(PARTS[part], name, job_id) if part in PARTS else None
