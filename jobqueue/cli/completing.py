"""Completing: the names that a shell offers for a word that is begun. Quick, and silent where nobody answers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final, get_args

import typer

from jobqueue.app import App
from jobqueue.cli.environment import find_settings, registry_of
from jobqueue.cli.later import later
from jobqueue.errors import JobqueueError
from jobqueue.job import State

if TYPE_CHECKING:
    from jobqueue import inspector
else:
    inspector = later("jobqueue.inspector")  # only for the names of queues

PATIENCE_MS: Final = 300
"""A person waits for the answer with a finger on the key."""


def state_words(incomplete: str) -> list[str]:
    return _begun((state for state in get_args(State) if state != "unknown"), incomplete)


def handler_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Those of the registry; none where it cannot be imported."""
    try:
        return _begun(registry_of(find_settings(jobs_registry=_registry_option(ctx))).names, incomplete)
    except JobqueueError:
        return []  # a shell that completes a word has no place for an error


def queue_names(ctx: typer.Context, incomplete: str) -> list[str]:
    """Those of the registry, and where Redis answers soon the others that it knows."""
    try:
        settings = find_settings(
            jobs_registry=_registry_option(ctx), redis_connect_ms=PATIENCE_MS, redis_call_ms=PATIENCE_MS
        )
        app = App(registry_of(settings), settings)
    except JobqueueError:
        return []  # as above
    return _begun(asyncio.run(_queues(app)), incomplete)


async def _queues(app: App) -> tuple[str, ...]:
    logging.disable()  # that Redis is away is no news to a shell
    try:
        async with asyncio.timeout(2 * PATIENCE_MS / 1000), app:
            return await inspector.Inspector(app).queue_names()
    except (JobqueueError, TimeoutError):
        return app.queue_names()


def _registry_option(ctx: typer.Context) -> str | None:
    return ctx.params.get("registry")


def _begun(words: Iterable[str], incomplete: str) -> list[str]:
    return [word for word in words if word.startswith(incomplete)]
