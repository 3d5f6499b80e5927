"""Cron acts: what whoever sends a request does to the cron jobs."""

from __future__ import annotations

from starlette.requests import Request

from board.access import actor_of
from board.site import Site
from jobqueue.inspector.cron_acts import CronActs


def cron_acts_of(site: Site, request: Request) -> CronActs:
    """The acts in the name of the one who asks. Each is in the audit log, refused ones too."""
    actor = actor_of(request.scope)
    return CronActs(site.app, site.cron_jobs, actor, actor.name)
