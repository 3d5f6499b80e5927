"""Asking: what destroys something is asked about first, on a terminal; where there is none, `--yes` must say so."""

from __future__ import annotations

import asyncio
import sys
from typing import TextIO

import typer

from jobqueue.cli.console import FAILED, note
from jobqueue.errors import InvalidOption


async def make_sure(question: str, *, is_sure: bool) -> None:
    """Returns where the answer is yes, or nobody has to be asked.

    Ctrl-C while it is asked cancels the command, as at any other time.
    Raises: typer.Exit with 1 where the answer is no, InvalidOption where nobody can be asked.
    """
    if is_sure:
        return
    stdin: TextIO | None = sys.stdin  # none where the shell has closed it
    if stdin is None or not stdin.isatty():
        raise InvalidOption("--yes", f"is needed where nobody can be asked: {question}")
    typer.echo(f"{question} [y/N]: ", err=True, nl=False)
    if (await _next_line(stdin)).strip().lower() not in ("y", "yes"):
        note("nothing was changed")
        raise typer.Exit(FAILED)


async def _next_line(terminal: TextIO) -> str:
    """Of a blocking read the loop would hear no Ctrl-C."""
    loop, is_there = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(terminal.fileno(), is_there.set)
    try:
        await is_there.wait()
    except asyncio.CancelledError:
        typer.echo(err=True)  # the terminal's cursor stands behind the question
        raise
    finally:
        loop.remove_reader(terminal.fileno())
    return terminal.readline()
