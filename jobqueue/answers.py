"""Answers: what the negative codes mean that BullMQ's scripts answer."""

from __future__ import annotations

from typing import Any

from jobqueue.errors import JobNotFound, JobNotInState, LockLost, RedisError

_LOST = {
    -1: "is gone",
    -2: "has no lock any more",
    -3: "is not active any more",
    -6: "is locked by another worker",
}
_UNFINISHED = {-4: "its children are not all finished", -9: "a child has failed"}


def checked(reply: Any, job: str) -> Any:
    """A script's answer, or the error that its negative code stands for.

    `job` is the job's id or, where it has none yet, its name. Source: bullmq ErrorCode.
    """
    if not isinstance(reply, int) or reply >= 0:
        return reply
    if reply in _LOST:
        raise LockLost(f"job {job!r} {_LOST[reply]}")
    if reply in _UNFINISHED:
        raise JobNotInState(job, "ready to complete", _UNFINISHED[reply])
    if reply == -5:
        raise JobNotFound(job, "its parent's queue")
    raise RedisError(f"job {job!r}: the script answered {reply}")
