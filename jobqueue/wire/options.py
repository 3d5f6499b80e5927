"""Options: how a job is to be treated, in BullMQ's words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jobqueue import encoding
from jobqueue.job import MAX_DELAY_MS, Backoff, BackoffFunction, Keep, exponential, fixed
from jobqueue.packing import Entries, pack_entries
from jobqueue.policy import Policy

_FALLBACK_BACKOFF = exponential(5_000)


def encode_options(policy: Policy, *, attempts: int, backoff: Backoff | BackoffFunction) -> Entries:
    """BullMQ's job options, so that a Node worker treats the job as ours would.

    A backoff function cannot travel: Node then uses the exponential default, and `function` tells our worker to ask
    the handler.
    """
    return pack_entries(
        {
            "attempts": attempts,
            "backoff": _encode_backoff(backoff),
            "removeOnComplete": encode_keep(policy.keep_completed),
            "removeOnFail": encode_keep(policy.keep_failed),
            "kl": policy.keep_logs,
        }
    )


def _encode_backoff(backoff: Backoff | BackoffFunction) -> dict[str, Any]:
    if not isinstance(backoff, Backoff):
        return _encode_backoff(_FALLBACK_BACKOFF) | {"function": True}
    encoded: dict[str, Any] = {"type": backoff.kind, "delay": backoff.delay_ms}
    if backoff.jitter:
        encoded["jitter"] = backoff.jitter
    return encoded


def decode_backoff(options: Mapping[str, Any], policy: Policy | None) -> Backoff | BackoffFunction | None:
    """The backoff of a job: what it carries, or the handler's function; None means at once.

    A kind that we do not know (Node's custom strategies) is the handler's to decide.
    """
    stored = options.get("backoff")
    fixed_ms = encoding.as_whole(stored)
    if fixed_ms is not None:
        return fixed(min(max(fixed_ms, 0), MAX_DELAY_MS))
    fields = encoding.as_object(stored)
    if not fields:
        return None
    kind, jitter = fields.get("type"), fields.get("jitter", 0)
    if policy is not None and (fields.get("function") or kind not in ("fixed", "exponential")):
        return policy.backoff
    delay_ms = min(max(encoding.as_whole(fields.get("delay")) or 0, 0), MAX_DELAY_MS)
    share = min(max(jitter, 0.0), 1.0) if isinstance(jitter, int | float) else 0.0
    make = fixed if kind == "fixed" else exponential
    return make(delay_ms, jitter=share)


def encode_keep(keep: Keep) -> dict[str, int]:
    encoded = {"count": -1 if keep.count is None else keep.count}
    if keep.age_s is not None:
        encoded["age"] = keep.age_s
    return encoded


def decode_keep(option: Any, default: Keep) -> dict[str, int]:
    """removeOnComplete / removeOnFail of a job in the form of the scripts; the default where it is none of theirs.

    Source: Node getKeepJobs.
    """
    if isinstance(option, bool):
        return {"count": 0 if option else -1}
    count = encoding.as_whole(option)
    if count is not None:
        return {"count": count}
    fields = {
        name: encoding.as_whole(value)
        for name, value in encoding.as_object(option).items()
        if name in ("age", "count", "limit")
    }
    kept = {name: number for name, number in fields.items() if number is not None}
    return kept or encode_keep(default)
