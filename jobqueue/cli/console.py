"""Console: what a command prints, and how an error becomes one line and an exit status."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

import typer
from pydantic_core import to_json

from jobqueue import harmless
from jobqueue.errors import DuplicateJob, EnqueueError, JobqueueError, SettingsError

T = TypeVar("T")

FAILED: Final = 1
WRONG_USE: Final = 2
INTERRUPTED: Final = 130


def report(error: Exception | str) -> None:
    """One line on standard error."""
    typer.secho("error: ", fg="red", bold=True, err=True, nl=False, color=colours())
    typer.echo(one_line(str(error)), err=True)


def colours() -> bool | None:
    """False where the person wants none (NO_COLOR); None leaves it to what the output is: a terminal or not."""
    return False if os.environ.get("NO_COLOR") else None


def exit_code(error: JobqueueError) -> int:
    """2 where the caller can put it right by asking otherwise, else 1: a duplicate is right to ask for, at its time."""
    if isinstance(error, DuplicateJob):
        return FAILED
    return WRONG_USE if isinstance(error, SettingsError | EnqueueError) else FAILED


def one_line(text: str) -> str:
    """Text from anywhere, without what could move a terminal's cursor."""
    return harmless.one_line(text)


class OutputLost(JobqueueError):
    """The command did its work, but could not print what came of it."""


def say(text: str) -> None:
    """Raises: OutputLost where standard output takes no more (a full disk); a reader that has gone is no fault."""
    try:
        typer.echo(text)
    except BrokenPipeError:
        raise
    except OSError as error:
        # What is left in the buffer would fail once more as the interpreter ends, and change the exit status.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        raise OutputLost(f"cannot write to standard output: {error.strerror}") from error


def note(text: str) -> None:
    """A remark for the person, on standard error, so that the output stays what a program reads."""
    typer.secho(text, dim=True, err=True, color=colours())


def say_json(value: Any) -> None:
    """One JSON document on standard output: indented for a terminal's reader and for `jq` alike."""
    # A foreign job may hold numbers that JSON does not have (1e999).
    say(harmless.json_text(to_json(value, indent=2, inf_nan_mode="null").decode()))


def run(command: Coroutine[Any, Any, T]) -> T:
    """Run a short command; Ctrl-C cancels it and ends the program with 130."""
    return asyncio.run(command)
