"""Errors: one tree. The docstring of a class is its default message."""

from __future__ import annotations

from typing import Final, Self

from jobqueue.harmless import without_echo

LONGEST_DELAY_MS: Final = 50 * 365 * 24 * 60 * 60 * 1000
"""How far a job may be put off: 50 years."""


class JobqueueError(Exception):
    """Something in jobqueue went wrong."""

    def __init__(self, message: str | None = None) -> None:
        super().__init__(message or type(self).__doc__ or type(self).__name__)


# Settings


class SettingsError(JobqueueError):
    """A setting is wrong."""

    def __init__(self, setting: str, problem: str) -> None:
        super().__init__(f"{setting}: {problem}")
        self.setting = setting
        self.problem = problem


# Definitions


class DefinitionError(JobqueueError):
    """A handler is defined in a way that cannot work."""


class DuplicateHandler(DefinitionError):
    """Two handlers have one name."""

    def __init__(self, name: str) -> None:
        super().__init__(f"two handlers are named {name!r}: a name belongs to one handler")
        self.name = name


class UnknownHandlerId(JobqueueError):
    """No handler was added under that id, or it was removed before."""

    def __init__(self, handler_id: str) -> None:
        super().__init__(f"no handler has the id {handler_id!r:.100}: give one that `add` returned, once")
        self.handler_id = handler_id


# Enqueueing


class EnqueueError(JobqueueError):
    """The job was refused before anything was written. `position` is its place among many."""

    position: int | None = None

    def at(self, position: int) -> Self:
        """The same error, of the job at that place."""
        self.position = position
        self.args = (f"[{position}] {self}",)
        return self


class UnknownHandler(EnqueueError):
    """No handler of that name is registered."""

    def __init__(self, name: str, known: tuple[str, ...] = ()) -> None:
        known_names = ", ".join(known) or "none"
        self.problem = f"no handler is named {name!r} (registered: {known_names})"
        super().__init__(f"handler: {self.problem}")
        self.name = name
        self.field = "handler"


class InvalidPayload(EnqueueError):
    """The payload does not validate.

    Shape: `field_errors` maps the dotted path of a field ("payload.resource_id") to what is wrong there.
    """

    def __init__(self, handler: str, field_errors: dict[str, str]) -> None:
        self.details = "; ".join(f"{field}: {problem}" for field, problem in field_errors.items())
        super().__init__(f"payload of {handler!r} is not valid: {self.details}")
        self.handler = handler
        self.field = next(iter(field_errors), "payload")
        self.field_errors = field_errors


class PayloadTooLarge(EnqueueError):
    """The payload is larger than JOBS_MAX_PAYLOAD_BYTES."""

    def __init__(self, size_bytes: int, limit_bytes: int) -> None:
        self.problem = f"{size_bytes} bytes, the limit is {limit_bytes} (JOBS_MAX_PAYLOAD_BYTES)"
        super().__init__(f"payload: {self.problem}")
        self.field = "payload"


class InvalidOption(EnqueueError):
    """An option is out of range."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class DuplicateJob(EnqueueError):
    """An unfinished job of the same handler exists, and its policy refuses duplicates.

    `job_id` is that job.
    """

    def __init__(self, handler: str, job_id: str) -> None:
        super().__init__(f"handler {handler!r}: job {job_id!r} is not finished yet, and duplicates are refused")
        self.handler = handler
        self.job_id = job_id


class QueueFull(JobqueueError):
    """The queue has as many jobs as it may have, or some that wait for room stand before this one.

    Callers never see it: the job goes to the outbox; where that `is_closing`, after a moment to the queue all the same.
    """

    def __init__(self, *, is_closing: bool = False) -> None:
        super().__init__()
        self.is_closing = is_closing


class HoldLost(JobqueueError):
    """This queue's rows have been looked at again since. Only relays see it."""


class OutcomeUnknown(JobqueueError):
    """The answer was lost, so the job may have been stored; give it a job_id to make a repeat safe."""


# Outbox


class OutboxError(JobqueueError):
    """What was asked of a row of the outbox cannot be done."""


class RowNotFound(OutboxError):
    """There is no such row."""

    def __init__(self, row_id: int) -> None:
        super().__init__(f"the outbox has no row {row_id}: its job is in Redis by now, or it was removed")
        self.row_id = row_id


class RowNotSetAside(OutboxError):
    """The row waits for its turn, so the relay may be moving it."""

    def __init__(self, row_id: int) -> None:
        super().__init__(f"row {row_id} of the outbox is not set aside: the relay moves it by itself")
        self.row_id = row_id


# Cron


class CronError(JobqueueError):
    """What was asked of a cron job cannot be done."""


class InvalidCronJob(CronError):
    """A cron job was refused before it was saved.

    Shape: `field_errors` maps the name of a field ("pattern", "payload.days") to what is wrong with it.
    """

    def __init__(self, field_errors: dict[str, str]) -> None:
        super().__init__("; ".join(f"{field}: {problem}" for field, problem in field_errors.items()))
        self.field_errors = field_errors


class CronJobNotFound(CronError):
    """There is no such cron job."""

    def __init__(self, which: str) -> None:
        super().__init__(f"there is no cron job {which!r:.200}")
        self.which = which


class UnreadableCronJob(CronError):
    """What the table holds of a cron job cannot be read: delete it, or mend it by SQL."""

    def __init__(self, which: str, reason: str) -> None:
        super().__init__(f"cron job {which!r:.200} cannot be read ({reason}); delete it, or mend its row by SQL")
        self.which = which
        self.reason = reason


class DuplicateCronJob(CronError):
    """Another cron job has that `job_id` or `name`."""

    def __init__(self, field: str, value: str) -> None:
        self.problem = f"another cron job has {value!r:.200}"
        super().__init__(f"{field}: {self.problem}")
        self.field = field
        self.value = value


# Redis


class RedisError(JobqueueError):
    """Redis could not do what was asked."""


class RedisUnavailable(RedisError):
    """Redis cannot be reached; nothing was sent, so it is safe to try again."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"Redis at {address} is not available: {reason}")
        self.address = address
        self.reason = reason


class ConnectionLost(RedisUnavailable):
    """The connection ended between a command and its answer: it may have been executed."""


class ClientClosed(RedisError):
    """The connection was closed by its owner; it will not come back."""


class RedisReplyError(RedisError):
    """Redis answered with an error."""

    def __init__(self, answer: str) -> None:
        super().__init__(without_echo(answer))

    @property
    def code(self) -> str:
        """The first word of Redis's answer: ERR, NOSCRIPT, LOADING, READONLY, …"""
        return str(self).partition(" ")[0]


class DatabaseUnavailable(JobqueueError):
    """The database cannot be used; what was begun has been rolled back, so it is safe to try again."""

    def __init__(self, address: str, reason: str) -> None:
        super().__init__(f"database at {address} is not available: {reason}")
        self.address = address
        self.reason = reason


class QueueVersionError(JobqueueError):
    """The queue was last written by BullMQ 5; mixing it with BullMQ 6 loses jobs."""

    def __init__(self, queue: str, evidence: str) -> None:
        super().__init__(
            f"queue {queue!r} holds BullMQ 5 data ({evidence}); resuming it with a BullMQ 6 tool loses jobs. "
            "Stop every BullMQ 5 process, resume the queue with the BullMQ 5 tool that paused it, let it drain "
            "its 'paused' list, then try again"
        )
        self.queue = queue


# Jobs


class JobError(JobqueueError):
    """Something is wrong with one job."""


class JobNotFound(JobError):
    """There is no such job."""

    def __init__(self, job_id: str, queue: str) -> None:
        super().__init__(f"no job {job_id!r} in queue {queue!r}")
        self.job_id = job_id
        self.queue = queue


class JobNotInState(JobError):
    """The job is not in a state that allows this."""

    def __init__(self, job_id: str, wanted: str, actual: str) -> None:
        super().__init__(f"job {job_id!r} is {actual}, not {wanted}")
        self.job_id = job_id
        self.wanted = wanted
        self.actual = actual


class JobFinished(JobNotInState):
    """The job has ended already."""


class JobActive(JobNotInState):
    """The job is running."""


class JobFailed(JobError):
    """The job failed; the message is its failure's reason."""


class JobCancelled(JobError):
    """The run was told to stop."""


class ProcessEnded(JobError):
    """The process of the handler ended before the handler did."""


class LockLost(JobError):
    """The lock of the job expired or was taken, so its result no longer counts."""


class MalformedJob(JobError):
    """The job's hash in Redis cannot be read."""


# What a handler raises to end its try otherwise


class EndOfTry(JobqueueError):
    """The handler ended its try otherwise than by a result or an error."""


class Retry(EndOfTry):
    """The handler asked for another try.

    Uses an attempt: where none is left the job fails. Units: `delay_ms` milliseconds; None is the job's backoff.
    Raises: ValueError for a delay that is no whole number of milliseconds up to 50 years.
    """

    def __init__(self, delay_ms: int | None = None) -> None:
        super().__init__("the handler asked for another try")
        self.delay_ms = None if delay_ms is None else _checked_delay_ms("Retry", delay_ms, 0)


class Snooze(EndOfTry):
    """The handler asked to be run later.

    Uses no attempt. Units: `delay_ms` milliseconds, at least 1, so that no job runs without end.
    Raises: ValueError for another delay.
    """

    def __init__(self, delay_ms: int) -> None:
        self.delay_ms = _checked_delay_ms("Snooze", delay_ms, 1)
        super().__init__(f"the handler asked to be run again in {self.delay_ms} ms")


class Discard(EndOfTry):
    """The handler gave the job up: it fails with `reason`, and no try follows.

    Raises: ValueError where the reason is no text, or empty.
    """

    def __init__(self, reason: str) -> None:
        self.reason = _checked_reason(reason)
        super().__init__(self.reason)


class WaitForChildren(EndOfTry):
    """The handler waits for the children that it added: the job runs again when they have ended."""


def _checked_reason(reason: object) -> str:
    if not isinstance(reason, str) or not reason.strip():
        raise ValueError(f"Discard: the reason must be a text that says something, not {reason!r:.100}")
    return reason


def _checked_delay_ms(name: str, delay_ms: object, least: int) -> int:
    if not isinstance(delay_ms, int) or isinstance(delay_ms, bool) or not least <= delay_ms <= LONGEST_DELAY_MS:
        raise ValueError(
            f"{name}: delay_ms must be a whole number from {least} to {LONGEST_DELAY_MS}, not {delay_ms!r:.100}"
        )
    return delay_ms
