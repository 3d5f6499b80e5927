"""API: the admin routes, for programs. They take JSON and answer JSON."""

from __future__ import annotations

from starlette.routing import Route

from board.api.cron import cron_routes
from board.api.jobs import job_routes
from board.site import Site


def api_routes(site: Site) -> list[Route]:
    return [*job_routes(site), *cron_routes(site)]
