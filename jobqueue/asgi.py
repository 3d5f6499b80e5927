"""ASGI: what a Starlette or FastAPI service needs: a lifespan, a dependency, and our errors as answers."""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from typing import TYPE_CHECKING, Final, TypeAlias, cast

from starlette.requests import HTTPConnection, Request
from starlette.responses import Response

from jobqueue.app import App, default_app_open, default_app_set
from jobqueue.context import Resources
from jobqueue.errors import JobqueueError
from jobqueue.problems import problem_of
from jobqueue.registry import Lifespan as RegistryLifespan
from jobqueue.settings import Settings

if TYPE_CHECKING:
    from jobqueue.worker import Worker

STATE: Final = "jobs"
"""Under this name the App is in the state of each request: `request.state.jobs`."""

_log = logging.getLogger("jobqueue.asgi")

_AWAY: Final = {
    "unavailable": "jobs cannot be reached at the moment; try again",
    "outcome_unknown": "no answer came in time, so the job may have been stored; with a job_id it is safe to try again",
}
_REQUEST_ID: Final = re.compile(r"[A-Za-z0-9._-]{1,128}")

Lifespan: TypeAlias = Callable[[object], AbstractAsyncContextManager[Mapping[str, App]]]


# The life of a service


def lifespan(app: App | None = None, *, worker: bool = False, resources: Resources | None = None) -> Lifespan:
    """A lifespan that opens an App for the service, by default that of the environment, and closes it at the end.

    An App that somebody has set as the default is used, and left open.

    While it lasts the App is what the module-level functions use, and is in the state for `jobs`. With `worker` the
    service runs jobs, too; their handlers are handed `resources`, which whoever opened them closes after this, or else
    what the registry's lifespan opens.
    Concurrency: requests have ended when a server ends the lifespan; then active jobs have WORKER_SHUTDOWN_MS to end,
    and connections are closed last. A worker that Redis keeps waiting does not keep the service from starting.
    Raises, as the service starts: SettingsError; what `Worker.start` raises. ValueError for resources without a worker.
    """
    if resources is not None and not worker:
        raise ValueError("resources: they are for a worker inside the service; add worker=True, or leave them out")

    @asynccontextmanager
    async def opened(service: object) -> AsyncGenerator[Mapping[str, App]]:
        async with (
            default_app_open() if app is None else _as_default(app) as jobs_app,
            _working(jobs_app, resources) if worker else nullcontext(),
        ):
            yield {STATE: jobs_app}

    return opened


@asynccontextmanager
async def _as_default(app: App) -> AsyncGenerator[App]:
    async with app:
        with default_app_set(app):
            yield app


@asynccontextmanager
async def _working(app: App, resources: Resources | None) -> AsyncGenerator[None]:
    """A worker beside the requests. It waits for Redis as long as it takes, and the requests do not wait for it."""
    if resources is not None:
        app.registry.lifespan = _handing(resources)
    make = cast("type[Worker]", import_module("jobqueue.worker").Worker)  # SQLAlchemy is only for those who run jobs
    worker = make(app)
    starting = asyncio.ensure_future(worker.start())
    try:
        await asyncio.wait({starting}, timeout=app.settings.redis_call_ms / 1000)
        if starting.done():
            starting.result()
        else:
            _log.warning("worker %s waits for Redis; requests are answered meanwhile", worker.name)
            starting.add_done_callback(_tell_of_failure)
        yield
    finally:
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await worker.stop()


def _handing(resources: Resources) -> RegistryLifespan:
    """What a registry opens for its handlers, where that is open already."""

    def handed(settings: Settings) -> AbstractAsyncContextManager[Resources]:
        return nullcontext(resources)

    return handed


def _tell_of_failure(starting: asyncio.Future[None]) -> None:
    error = None if starting.cancelled() else starting.exception()
    if error is not None:
        _log.error("the worker of this service cannot start, so no jobs run here", exc_info=error)


async def jobs(connection: HTTPConnection) -> App:
    """The App of the service, for a route: `Annotated[App, Depends(jobs)]` in FastAPI, `await jobs(request)` elsewhere.

    A coroutine, since FastAPI would call a plain function in a thread. Raises: JobqueueError in a service without our
    lifespan, or one whose lifespan was not run.
    """
    app = connection.scope.get("state", {}).get(STATE)
    if not isinstance(app, App):
        raise JobqueueError(
            "this service has no App: give it `lifespan=jobqueue.asgi.lifespan()`, or yield the state of that one from "
            "its own lifespan; a test client runs it in its `with` block"
        )
    return app


async def answer_error(request: Request, error: Exception) -> Response:
    """An exception handler: `exception_handlers={JobqueueError: answer_error}` of Starlette and FastAPI.

    What is no answer to a request (a job that failed, a bug) goes on to the service's own handlers and its log.
    What is away is named in the log alone: strangers need no addresses. `requestId` is the caller's X-Request-Id, where
    it sent a harmless one.
    """
    problem = problem_of(error)
    if problem is None:
        raise error
    if problem.error in _AWAY:
        _log.warning("%s %r: %s", request.method, request.url.path, error)
        problem = replace(problem, message=_AWAY[problem.error])
    given = request.headers.getlist("x-request-id")
    request_id = given[0] if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]) else None
    return Response(problem.body(request_id), problem.status, dict(problem.headers), "application/json")
