"""Wanted: which jobs a command means, from the words of its options."""

from __future__ import annotations

import typer

from board.api.moments import read_moment_ms
from jobqueue.cli.objects import read_object
from jobqueue.errors import InvalidOption
from jobqueue.inspector import STATES, JobFilter
from jobqueue.job import Related, State


def read_filter(
    *,
    name: str | None = None,
    related: str | None = None,
    created_by: str | None = None,
    order_key: str | None = None,
    from_time: str | None = None,
    to_time: str | None = None,
    text: str | None = None,
) -> JobFilter:
    """Raises: InvalidOption; BadParameter for a time that is none."""
    return JobFilter(
        name=name,
        related=None if related is None else Related(*read_object(related)),
        created_by=created_by,
        order_key=order_key,
        from_ms=_moment_ms("--from", from_time),
        to_ms=_moment_ms("--to", to_time),
        text=text,
    )


def read_state(text: str) -> State:
    """Raises: InvalidOption."""
    if text not in STATES:
        raise InvalidOption("state", f"must be one of {', '.join(STATES)}, not {text!r:.100}")
    return text


def _moment_ms(option: str, text: str | None) -> int | None:
    try:
        return None if text is None else read_moment_ms(text)
    except ValueError as error:
        raise typer.BadParameter(str(error), param_hint=option) from error
