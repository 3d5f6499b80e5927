"""What the tests of the board share: handlers to enqueue for, jobs in each state, and a client."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from datetime import date

import httpx
from pydantic import BaseModel, ConfigDict, Field, SecretStr
from starlette.applications import Starlette
from starlette.types import ASGIApp

from board import create_app
from jobqueue.app import App
from jobqueue.cli.http import HttpServer, listen
from jobqueue.clock import now_ms
from jobqueue.context import JobContext
from jobqueue.job import Enqueued
from jobqueue.registry import Registry
from jobqueue.wrappers import make_job, make_superseding_job

LOCAL = "http://localhost:8000"


class SyncData(BaseModel):
    """A payload with an alias, a strict date and a secret."""

    model_config = ConfigDict(strict=True, populate_by_name=True)

    resource_id: str
    due: date | None = None
    pin: SecretStr | None = Field(None, alias="pinCode")


def _lane(payload: SyncData) -> str:
    return payload.resource_id


@make_superseding_job(name="syncData", dedupe_key=_lane)
async def sync_data(ctx: JobContext, payload: SyncData) -> None:
    """Never run here: the board only looks."""


@make_job(name="note", queue="notes", attempts=5, timeout_ms=2_000)
async def note(ctx: JobContext, payload: Mapping[str, object]) -> None:
    """Takes any object."""


@make_job
async def heartbeat(ctx: JobContext) -> None:
    """Takes no payload."""


REGISTRY = Registry([sync_data, note, heartbeat])


@asynccontextmanager
async def client_of(
    app: ASGIApp, base_url: str = LOCAL, headers: Mapping[str, str] | None = None
) -> AsyncGenerator[httpx.AsyncClient]:
    """A client that asks the app itself; exceptions that leave the app fail the test."""
    transport = httpx.ASGITransport(app=app)
    async with httpx.AsyncClient(transport=transport, base_url=base_url, headers=headers) as client:
        yield client


@asynccontextmanager
async def serving(app: App, host: str = "localhost") -> AsyncGenerator[str]:
    """The board under a real server; yields its address."""
    async with serving_asgi(create_app(app), host) as origin:
        yield f"{origin}/bullBoard"


@asynccontextmanager
async def serving_asgi(asgi: Starlette, host: str = "localhost") -> AsyncGenerator[str]:
    """Any app under our own server, which ends the pages' event streams; yields its origin."""
    listening = listen("127.0.0.1", 0)
    server = HttpServer(asgi, listening)
    server.start()
    try:
        yield f"http://{host}:{listening.getsockname()[1]}"
    finally:
        await server.stop()


async def fail(app: App, enqueued: Enqueued, reason: str, stack: str = "", at_ms: int | None = None) -> None:
    """What the worker leaves behind for a job that has used up its tries."""
    keys, finished_ms = app.queue(enqueued.queue).keys, at_ms or now_ms()
    await app.client.call("LREM", keys.of("wait"), 1, enqueued.job_id)
    await app.client.call("ZADD", keys.of("failed"), finished_ms, enqueued.job_id)
    outcome = ("failedReason", reason, "stacktrace", json.dumps([stack]), "finishedOn", finished_ms)
    times = ("processedOn", finished_ms - 10, "atm", 3, "ats", 3)
    await app.client.call("HSET", keys.job(enqueued.job_id), *outcome, *times)


async def complete(app: App, enqueued: Enqueued, result_json: str, at_ms: int | None = None) -> None:
    """What the worker leaves behind for a job that has succeeded."""
    keys, finished_ms = app.queue(enqueued.queue).keys, at_ms or now_ms()
    await app.client.call("LREM", keys.of("wait"), 1, enqueued.job_id)
    await app.client.call("ZADD", keys.of("completed"), finished_ms, enqueued.job_id)
    outcome = ("returnvalue", result_json, "finishedOn", finished_ms, "processedOn", finished_ms - 10, "atm", 1)
    await app.client.call("HSET", keys.job(enqueued.job_id), *outcome)


async def activate(app: App, enqueued: Enqueued) -> None:
    """A job in the hands of a worker."""
    keys = app.queue(enqueued.queue).keys
    await app.client.call("LREM", keys.of("wait"), 1, enqueued.job_id)
    await app.client.call("LPUSH", keys.of("active"), enqueued.job_id)
    await app.client.call("HSET", keys.job(enqueued.job_id), "processedOn", now_ms(), "ats", 1)
