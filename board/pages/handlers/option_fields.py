"""Option fields: what a person may ask for one job, beside its payload."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, cast

from board.api.moments import read_moment
from board.pages.handlers.form_values import Faults, Typed
from jobqueue.errors import InvalidOption
from jobqueue.handler import Handler
from jobqueue.inspector import JobView
from jobqueue.job import MAX_ATTEMPTS, MAX_PRIORITY, EnqueueOptions
from jobqueue.options import check_options

_LONGEST_NUMBER: Final = 20


@dataclass(frozen=True, slots=True)
class Option:
    """One option as a form asks for it. `option` is our own word for it."""

    option: str
    name: str
    label: str
    help: str
    is_number: bool = False


OPTIONS: Final = (
    Option("delay_ms", "options.delayMs", "Delay", "Milliseconds before it may run.", is_number=True),
    Option("run_at", "options.runAt", "Run at", "In place of a delay: 2030-01-31T12:00:00Z, with its zone."),
    Option("priority", "options.priority", "Priority", f"1 goes first, {MAX_PRIORITY:,} last.", is_number=True),
    Option(
        "attempts", "options.attempts", "Attempts", f"How many tries in all, 1 to {MAX_ATTEMPTS:,}.", is_number=True
    ),
    Option("job_id", "options.jobId", "Job id", "Where a job has this id already, none is enqueued."),
    Option("order_key", "options.orderKey", "Order key", "Jobs of one order key run one after another."),
    Option("related_type", "options.related.type", "Related type", "The kind of object that it is about: order."),
    Option("related_id", "options.related.id", "Related id", "Which one of them: 42."),
    Option("queue", "options.queue", "Queue", "Another queue than the handler's own."),
)
OPTION_NAMES: Final = frozenset(option.name for option in OPTIONS)

_NAME_OF: Final = {option.option: option.name for option in OPTIONS} | {"related": "options.related.id"}


@dataclass(frozen=True, slots=True)
class ReadOptions:
    """The options that were typed; good where there are no faults, but for what only the queue can tell."""

    options: EnqueueOptions
    faults: Faults


def read_options(typed: Typed) -> ReadOptions:
    read: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for option in OPTIONS:
        text = typed.get(option.name, "")
        if not text.strip():
            continue
        try:
            read[option.option] = _reader_of(option)(text)
        except ValueError as error:
            faults[option.name] = str(error)
    _pair(read, faults)
    if "delay_ms" in read and "run_at" in read:
        faults[_NAME_OF["run_at"]] = "give a delay or a time, not both"
    for name, value in read.items():
        faults.update(_fault_in(cast(EnqueueOptions, {name: value})))
    return ReadOptions(cast(EnqueueOptions, read), faults)


def _fault_in(one: EnqueueOptions) -> Faults:
    """What the queue would say of one option. Asked for each by itself, so that all that is wrong is told at once."""
    try:
        check_options(one)
    except InvalidOption as error:
        return fault_of(error)
    return {}


def options_as_before(view: JobView) -> Typed:
    """What holds for a job that is enqueued again where an option is left out; its id is its own, its time is past."""
    if view.job is None:
        return {}
    envelope = view.job.envelope
    kind, identity = envelope.related or ("", "")
    return {
        "options.priority": str(view.job.priority or ""),
        "options.attempts": str(view.job.attempts),
        "options.orderKey": envelope.order_key or "",
        "options.related.type": kind,
        "options.related.id": identity,
        "options.queue": view.queue,
    }


def usual_options(handler: Handler[Any], queue: str) -> Typed:
    """What holds for a handler where an option is left out."""
    policy = handler.policy
    return {
        "options.delayMs": str(policy.first_delay_ms or ""),
        "options.priority": str(policy.priority or ""),
        "options.attempts": str(policy.attempts),
        "options.queue": queue,
    }


def fault_of(error: InvalidOption) -> Mapping[str, str]:
    """What is wrong with an option, under the name of its field."""
    return {_NAME_OF.get(error.field, error.field): error.problem}


def _reader_of(option: Option) -> Callable[[str], object]:
    if option.is_number:
        return _whole
    return _moment if option.option == "run_at" else str


def _moment(text: str) -> datetime:
    return read_moment(text.strip())


def _whole(given: str) -> int:
    text = given.strip()
    if not (text.isascii() and text.isdigit() and len(text) <= _LONGEST_NUMBER):
        raise ValueError(f"must be a whole number, not {text!r:.60}")
    return int(text)


def _pair(read: dict[str, Any], faults: dict[str, str]) -> None:
    """The two halves of a related object are one option."""
    kind, identity = read.pop("related_type", None), read.pop("related_id", None)
    if kind is not None and identity is not None:
        read["related"] = (kind, identity)
    elif kind is not None or identity is not None:
        lacking = "related_id" if identity is None else "related_type"
        faults[_NAME_OF[lacking]] = "is needed too: an object has a type and an id"
