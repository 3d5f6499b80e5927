"""Auditing: an act is noted before it is made, and what came of it after. Where it cannot be noted it is not made."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from pydantic import JsonValue

from jobqueue import encoding
from jobqueue.app import App
from jobqueue.errors import (
    CronError,
    CronJobNotFound,
    EnqueueError,
    InvalidCronJob,
    InvalidPayload,
    JobError,
    JobNotFound,
    JobqueueError,
    OutboxError,
    OutcomeUnknown,
    QueueVersionError,
    RedisError,
    RedisUnavailable,
    RowNotFound,
)
from jobqueue.inspector.audit import Actor, entry_id
from jobqueue.masking import MASK, mask
from jobqueue.redis.retry import is_passing, until_answered
from jobqueue.scripts import own

_log = logging.getLogger("jobqueue.audit")

KEEP_ENTRIES: Final = 10_000
"""Of one queue; with KEEP_MS."""
KEEP_MS: Final = 90 * 24 * 60 * 60 * 1000

MAX_TEXT: Final = 500
MAX_DETAILS: Final = 4_000

_FINISH_S: Final = 3.0
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")
_REPLACED: Final = "\ufffd"
_REFUSALS: Final = (JobError, EnqueueError, CronError, OutboxError, QueueVersionError)
_CUT_SHORT: Final = (RedisUnavailable, OutcomeUnknown, asyncio.CancelledError)


@dataclass(slots=True)
class AuditedAct:
    """An act while it is made; what is learnt on the way (the id of what was made, how many) is filled in.

    `entry` is the id of its finished entry; None before that, and where it could not be written.
    """

    action: str
    queue: str
    target: str | None = None
    details: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    count: int | None = None
    entry: str | None = None


class AuditLog:
    """Writes the logs of an app's queues. Shape: see `QueueKeys.audit`."""

    def __init__(self, app: App) -> None:
        self._app = app

    @asynccontextmanager
    async def noted(self, actor: Actor, act: AuditedAct) -> AsyncGenerator[AuditedAct]:
        """Make the act inside. An act that is cut short (Redis away, cancelled, killed) stays noted as not finished.

        One on what is not there is taken out again, and told by our log alone: repeated without end, as programs
        do, it would push out what was done.
        Raises: InvalidOption for a queue's name that cannot be one; RedisError where the act cannot be noted, and so is
        not made; and whatever the act raises.
        """
        key = self._app.queue(act.queue).keys.audit()
        begun = await self._write(key, "", _fields(actor, act))
        try:
            yield act
        except _CUT_SHORT:
            _tell(actor, act, "not finished")
            raise
        except (JobNotFound, CronJobNotFound, RowNotFound) as error:
            _tell(actor, act, _outcome(error))
            await self._settled(key, begun, partial(self._app.client.call, "XDEL", key, begun))
            raise
        except Exception as error:
            await self._finish(key, begun, actor, act, _outcome(error))
            raise
        await self._finish(key, begun, actor, act, "done")

    @asynccontextmanager
    async def noted_if_redis_answers(self, actor: Actor, act: AuditedAct) -> AsyncGenerator[AuditedAct]:
        """As `noted`, around an act on the database: where Redis is away it is made all the same, and Redis follows.

        Our log then says who did it.
        """
        async with AsyncExitStack() as stack:
            try:
                await stack.enter_async_context(self.noted(actor, act))
            except RedisError as error:
                if not is_passing(error):
                    raise
                _log.warning("%s did %s %r, and the audit log lacks it: %s", actor.name, act.action, act.target, error)
            yield act

    async def _finish(self, key: str, begun: str, actor: Actor, act: AuditedAct, outcome: str) -> None:
        """The act is made or refused already, so that a failure here is told and no more."""
        _tell(actor, act, outcome)
        fields = {**_fields(actor, act), "began": begun, "outcome": outcome}
        written = await self._settled(key, begun, partial(self._write, key, begun, fields))
        act.entry = None if written is None else entry_id(written, act.queue)

    async def _settled(self, key: str, begun: str, settle: Callable[[], Awaitable[str]]) -> str | None:
        try:
            async with asyncio.timeout(_FINISH_S):
                return await until_answered(settle)
        except (RedisError, TimeoutError) as error:
            _log.warning("the audit entry %s of %s stays unfinished: %s", begun, key, error)
            return None

    async def _write(self, key: str, replaces: str, fields: Mapping[str, str]) -> str:
        """Concurrency: to replace an entry is safe to repeat."""
        flat = [part for pair in fields.items() for part in pair]
        written: str = await self._app.client.run(own("writeAudit"), [key], [replaces, KEEP_ENTRIES, KEEP_MS, *flat])
        return written


def _fields(actor: Actor, act: AuditedAct) -> dict[str, str]:
    given = {
        "actor": line(actor.name) or "?",
        "via": actor.via,
        "action": act.action,
        "target": None if act.target is None else line(act.target),
        "details": _details(act.details),
        "count": None if act.count is None else str(act.count),
        "requestId": None if actor.request_id is None else line(actor.request_id),
    }
    return {name: text for name, text in given.items() if text is not None}


def line(text: str) -> str:
    """A text that a log line and a page can hold: one line, without control characters, not too long."""
    cut = text if len(text) <= MAX_TEXT else text[: MAX_TEXT - 1] + "…"
    return _CONTROL.sub(_REPLACED, cut)


def is_whole(text: str) -> bool:
    """Whether a text of an entry is what was given: not cut, and nothing in it replaced or masked."""
    return len(text) < MAX_TEXT and _REPLACED not in text and MASK not in text


def _details(details: Mapping[str, JsonValue]) -> str | None:
    """As JSON, masked; each text is cut, and what is too much in all is left out, from the end."""
    kept: dict[str, JsonValue] = {}
    masked = encoding.as_object(mask({line(name): _bounded(value) for name, value in details.items()}))
    for name, value in masked.items():
        kept[name] = value
        too_much = len(encoding.encode_json(kept)) - MAX_DETAILS
        if too_much > 0:
            kept[name] = _shortened(value, too_much)
    return encoding.encode_json(kept) if kept else None


def _shortened(value: JsonValue, too_much: int) -> JsonValue:
    """The first items of a list, as many as there is room for; of anything else nothing."""
    if not isinstance(value, list):
        return "…"
    kept, room = value, len(encoding.encode_json(value)) - too_much
    while kept and len(encoding.encode_json(kept)) > room:
        kept = kept[:-1]
    return kept


def _bounded(value: JsonValue) -> JsonValue:
    match value:
        case str():
            return line(value)
        case dict():
            return {line(name): _bounded(inner) for name, inner in value.items()}
        case list():
            return [_bounded(inner) for inner in value]
        case _:
            return value


def _outcome(error: Exception) -> str:
    word = "refused" if isinstance(error, _REFUSALS) else "failed"
    return line(f"{word}: {_reason(error)}")


def _reason(error: Exception) -> str:
    """What a validator says may quote the value, and what a library says anything: neither is repeated."""
    match error:
        case InvalidPayload() | InvalidCronJob():
            return f"not valid: {', '.join(error.field_errors)}"
        case JobqueueError():
            return str(error)
        case _:
            return type(error).__name__


def _tell(actor: Actor, act: AuditedAct, outcome: str) -> None:
    fields = _fields(actor, act)
    target = fields.get("target", "")
    _log.info(
        "audit: %s %s by %s: %s",
        act.action,
        f"{target} in {act.queue}" if target else act.queue,
        fields["actor"],
        outcome,
        extra={"audit": {**fields, "queue": act.queue, "outcome": outcome}},
    )
