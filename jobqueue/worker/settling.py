"""Settling: makes a call that moves jobs happen once, though its answer may be lost."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeVar

from jobqueue.errors import ConnectionLost, LockLost, RedisReplyError
from jobqueue.queue import Queue
from jobqueue.redis.retry import Pause, is_passing, until_answered
from jobqueue.wire import NOTHING, Fetched

T = TypeVar("T")


async def settle(
    queue: Queue,
    token: str,
    write: Callable[[], Awaitable[T]],
    was_done: Callable[[Fetched], T],
    on_loss: Callable[[Exception], None],
    job_id: str | None = None,
) -> T:
    """Make one call that moves jobs under `token`, until Redis has answered it.

    Where its answer is lost `was_done` makes one of the job that the token holds afterwards.

    After a lost answer the token tells what happened: it holds the same job as before (nothing did: call again), or
    another (the answer would have been that one), or none (the call was executed and fetched nothing, or the lock
    has expired; either way there is nothing left to do).

    What a script has done before an error stays done. So where a call fails and the token then holds another job, as
    when that job's hash cannot be counted in, the call has come to its end as far as anybody can tell.
    """
    pause, in_doubt, was_in_doubt = Pause(), False, False
    while True:
        try:
            if in_doubt:
                held = await queue.held_by(token, job_id)
                if held.job_id != job_id:
                    return was_done(held)
                in_doubt = False
            return await write()
        except LockLost:
            if not was_in_doubt:
                raise
            # A call before this one may have been executed late: then this is its success, and it may have fetched.
            return was_done(await until_answered(partial(queue.held_by, token, job_id), on_loss))
        except Exception as error:
            if not is_passing(error):
                held = await _next_held(queue, token, job_id) if isinstance(error, RedisReplyError) else NOTHING
                if held.job_id is None:
                    raise
                return was_done(held)
            if isinstance(error, ConnectionLost):
                in_doubt = was_in_doubt = True
            on_loss(error)
            await pause.rest()


async def _next_held(queue: Queue, token: str, job_id: str | None) -> Fetched:
    """The job that the token holds instead of the one before: the script had taken it when it stumbled over it."""
    held = await queue.held_by(token, job_id)
    return NOTHING if held.job_id == job_id else held
