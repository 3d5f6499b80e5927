"""Ties: what links a job to keys of ours. Its lane, its order key, its limit, its lock, the object that it is about.

A tie is claimed in the step that adds the job, or where that could not be (a scheduler's job, a foreign tool's) when a
worker picks it up, and given back in the step that ends the job or its try. Shape: each is packed under the names that
`lua/_ties.lua` knows.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple, TypeAlias

from jobqueue import encoding
from jobqueue.handler import Handler, Singleton, Superseding
from jobqueue.job import MAX_NAME_LENGTH, Envelope, Job, Related, is_plain_text
from jobqueue.keys import QueueKeys
from jobqueue.packing import pack

KEEP_MS: Final = 90 * 24 * 60 * 60 * 1000
"""How long a key of ours outlives the start of the job that should end it."""

LOCK_TTL_MS: Final = 300_000
_FENCE_KEEP_MS: Final = 24 * 60 * 60 * 1000


class LaneTie(NamedTuple):
    """Superseding: the newest claim holds the lane. `rank` is the time of the claim, epoch ms."""

    key: str
    rank: int
    kind: Literal["lane"] = "lane"


class UniqueTie(NamedTuple):
    """Rejected duplicates: the oldest unfinished job holds it."""

    key: str
    kind: Literal["unique"] = "unique"


class RelatedTie(NamedTuple):
    """The unfinished jobs of one object."""

    key: str
    kind: Literal["related"] = "related"


class OrderTie(NamedTuple):
    """One job after another; held from the enqueueing to the end of the job.

    `rank` is the place in the line, epoch ms, of a job that has one by itself; 0 for the order of arrival.
    """

    key: str
    rank: int = 0
    max: Literal[1] = 1
    kind: Literal["order"] = "order"


class LimitTie(NamedTuple):
    """So many jobs at once; held while the job runs or is next to."""

    key: str
    max: int
    kind: Literal["limit"] = "limit"


class LockTie(NamedTuple):
    """A singleton's lock; held while the job runs. `token` is the run's own, "" that of whichever run of the job."""

    key: str
    fence: str
    token: str
    ttl: int = LOCK_TTL_MS
    fence_keep: int = _FENCE_KEEP_MS
    kind: Literal["lock"] = "lock"


class RateTie(NamedTuple):
    """So many starts in a span of `per` ms; `booked` is the line of those that wait for their turn."""

    key: str
    booked: str
    max: int
    per: int
    kind: Literal["rate"] = "rate"


class AckTie(NamedTuple):
    """Acknowledged by hand: the mark says how the work ended."""

    key: str
    kind: Literal["ack"] = "ack"


Tie: TypeAlias = LaneTie | UniqueTie | RelatedTie | OrderTie | LimitTie | LockTie | RateTie | AckTie
Ties: TypeAlias = tuple[Tie, ...]

NO_TIES: Final[Ties] = ()


def pack_ties(ties: Ties, **asked: Any) -> bytes:
    """The argument of the scripts that claim ties and give them back."""
    return pack({**asked, "keep": KEEP_MS, "ties": [tie._asdict() for tie in ties]})


_KINDS: Final[Mapping[str, type[Tie]]] = {
    "lane": LaneTie,
    "unique": UniqueTie,
    "related": RelatedTie,
    "order": OrderTie,
    "limit": LimitTie,
    "lock": LockTie,
    "rate": RateTie,
    "ack": AckTie,
}


def read_tie(fields: Mapping[str, Any]) -> Tie:
    """The tie that `_asdict` gave these fields of. Raises: ValueError where there is none like it."""
    try:
        return _KINDS[fields["kind"]](**fields)
    except (KeyError, TypeError) as error:
        raise ValueError(f"a tie cannot be {dict(fields)!r:.200}") from error


def is_bound(handler: Handler[Any]) -> bool:
    """False where the jobs of a handler have no ties but those that their callers ask for."""
    policy = handler.policy
    return (
        isinstance(handler.pattern, Singleton | Superseding)
        or policy.concurrency is not None
        or policy.rate_limit is not None
        or policy.ack == "manual"
    )


def order_key_of(handler: Handler[Any], order_key: str | None, related: Related | None) -> str | None:
    """The key that a job is ordered by: its own, or where the handler is ordered the object that it is about."""
    if order_key is None and related is not None and handler.policy.ordered:
        return f"{related.type}:{related.id}"
    return order_key


def of_new_job(keys: QueueKeys, handler: Handler[Any], payload: Any, envelope: Envelope, now_ms: int) -> Ties:
    """What a job claims when it is enqueued. Raises: ValueError where a key function gives no usable text."""
    if not is_bound(handler) and envelope.related is None and envelope.order_key is None:
        return NO_TIES
    if isinstance(handler.pattern, Singleton):
        # its lock is taken later, but a key function that fails does so before anything is stored
        handler.pattern.identity_of(handler.name, payload)
    found = _found(keys, handler, payload, envelope, now_ms)
    return tuple(tie for tie in found if not isinstance(tie, AckTie | RateTie))


def of_picked_up_job(keys: QueueKeys, handler: Handler[Any], payload: Any, job: Job, token: str) -> Ties:
    """What a job must hold to run, in the order of taking. `token` is the run's.

    Raises: ValueError where a key function gives no usable text.
    """
    envelope = job.envelope
    if not is_bound(handler) and envelope.related is None and envelope.order_key is None and envelope.overlap is None:
        return NO_TIES
    ties = [*_of_slot(keys, job), *_found(keys, handler, payload, envelope, job.slot_ms)]
    if isinstance(handler.pattern, Singleton):
        identity = handler.pattern.identity_of(handler.name, payload)
        ties.append(LockTie(keys.singleton_lock(identity), keys.singleton_fence(), token))
    if handler.policy.ack == "manual":
        ties.append(AckTie(keys.acknowledged(job.id)))
    limit = handler.policy.rate_limit
    if limit is not None:
        ties.append(RateTie(keys.rate(job.name), keys.booked(job.name), limit.max, limit.per_ms))
    return tuple(ties)


def of_any_job(keys: QueueKeys, job: Job, handler: Handler[Any] | None) -> Ties:
    """All that a job may hold, for whoever ends it without running it; where its payload cannot be read, what its data
    tells of.
    """
    if handler is not None:
        try:
            payload = handler.validate_json(encoding.encode_json(job.envelope.payload))
            return of_picked_up_job(keys, handler, payload, job, token="")
        except Exception:  # a user's validator may raise anything, and the job must come to its end all the same
            return of_stored_job(keys, job, handler)
    return of_stored_job(keys, job, handler)


def of_stored_job(keys: QueueKeys, job: Job, handler: Handler[Any] | None) -> Ties:
    """The ties that a job's data tells of."""
    envelope = job.envelope
    ties: list[Tie] = [*_of_slot(keys, job)]
    if envelope.dedupe_key is not None and (handler is None or isinstance(handler.pattern, Superseding)):
        ties.append(LaneTie(keys.lane(job.name, envelope.dedupe_key), job.slot_ms))
    if envelope.related is not None:
        ties.append(RelatedTie(keys.related(envelope.related)))
        if handler is None or handler.policy.duplicates == "reject":
            ties.append(UniqueTie(keys.unique(job.name, envelope.related)))
    if envelope.order_key is not None:
        ties.append(OrderTie(keys.order(envelope.order_key)))
    return tuple(ties)


def _of_slot(keys: QueueKeys, job: Job) -> Iterator[Tie]:
    """What keeps the slots of a cron job apart. It comes first: a slot that is skipped or waits supersedes nobody."""
    envelope = job.envelope
    if envelope.overlap is None or envelope.type != "cron" or not is_plain_text(envelope.id, MAX_NAME_LENGTH):
        return
    if envelope.overlap == "skip":
        yield UniqueTie(keys.overlap(envelope.id))
    else:
        yield OrderTie(keys.slots(envelope.id), rank=job.slot_ms)


def _found(keys: QueueKeys, handler: Handler[Any], payload: Any, envelope: Envelope, rank: int) -> Iterator[Tie]:
    related, policy = envelope.related, handler.policy
    if isinstance(handler.pattern, Superseding):
        dedupe_key = envelope.dedupe_key or handler.pattern.key_of(payload)
        lane = keys.lane(handler.name, dedupe_key)
        yield UniqueTie(lane) if policy.duplicates == "reject" else LaneTie(lane, rank)
    if related is not None:
        if policy.duplicates == "reject" and not isinstance(handler.pattern, Superseding):
            yield UniqueTie(keys.unique(handler.name, related))
        yield RelatedTie(keys.related(related))
    order_key = order_key_of(handler, envelope.order_key, related)
    if order_key is not None:
        yield OrderTie(keys.order(order_key))
    if policy.concurrency is not None:
        partition = policy.concurrency.partition_of(payload)
        yield LimitTie(keys.limit(handler.name, partition), policy.concurrency.max)
