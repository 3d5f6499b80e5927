"""Site: what every page and route of one board is made with."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from board.notices import notice_of
from board.paths import Links
from board.render import Renderer
from jobqueue.app import App
from jobqueue.cron import CronJobs
from jobqueue.database import Database, open_database
from jobqueue.inspector import Inspector

Answer: TypeAlias = Callable[[Request], Awaitable[Response]]

Routes: TypeAlias = tuple[tuple[str, str, Answer], ...]
"""Method, path below that of the board, and how it is answered."""


@dataclass(frozen=True, slots=True)
class Site:
    """One board. The rows of the cron jobs are in `database`; without one each request opens that of the settings."""

    app: App
    inspector: Inspector
    database: Database | None
    renderer: Renderer
    board_path: str
    read_only: bool

    def links(self, request: Request) -> Links:
        return Links.of(request.scope, self.board_path)

    def page(
        self, request: Request, template: str, context: Mapping[str, Any] | None = None, *, status: int = 200
    ) -> HTMLResponse:
        """A page of the board. Every template knows `links`, `now_ms`, `read_only` and `notice` beside its context."""
        context = {"read_only": self.read_only, "notice": notice_of(request), **(context or {})}
        return self.renderer.page(template, self.links(request), context, status=status)

    @asynccontextmanager
    async def opened_database(self) -> AsyncGenerator[Database]:
        """Where the cron jobs are."""
        if self.database is not None:
            yield self.database
            return
        async with open_database(self.app.settings.database_url) as database:
            yield database

    @asynccontextmanager
    async def cron_jobs(self) -> AsyncGenerator[CronJobs]:
        async with self.opened_database() as database:
            yield CronJobs(self.app, database)
