"""Many: an act on many jobs, made again until all are treated, and what came of it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from time import monotonic
from typing import TypeAlias

import typer

from board.api.serialize import bulk_json
from jobqueue.cli.console import FAILED, one_line, report, say, say_json
from jobqueue.inspector import Bulk

Treatment: TypeAlias = Callable[[int], Awaitable[Bulk]]
"""An act on many jobs, which is told how many milliseconds ago it was begun: what has ended since is not meant."""


async def until_complete(treat: Treatment) -> Bulk:
    """An act is bounded in time; so it is made again until it has come to its end, or comes no further.

    Jobs that are retried and fail anew would be retried without end, were they not younger than the first act.
    What the last one refused is what stays: those before refused the same jobs.
    """
    began_s = monotonic()
    bulk = await treat(0)
    while not bulk.complete:
        further = await treat(int((monotonic() - began_s) * 1_000))
        bulk = replace(further, done=bulk.done + further.done)
        if not further.done:
            break
    return bulk


def say_bulk(bulk: Bulk, done: str, *, as_json: bool) -> None:
    """`done` is what was done, like "retried". Raises: typer.Exit with 1 where not all were treated."""
    if as_json:
        say_json(bulk_json(bulk))
    elif bulk.done or not bulk.refused:
        say(f"{done} {bulk.done}")
    for job_id, why in bulk.problems.items():
        report(one_line(why if job_id in why else f"job {job_id}: {why}"))
    if bulk.refused > len(bulk.problems):
        report(f"{bulk.refused - len(bulk.problems)} more were refused")
    if not bulk.complete:
        report("not all were treated in the time given; the same command goes on")
    if bulk.refused or not bulk.complete:
        raise typer.Exit(FAILED)
