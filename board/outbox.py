"""Outbox: which rows a request means and who acts on them, and what other pages see of it without being held up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.exceptions import HTTPException
from starlette.requests import Request

from board.access import actor_of
from board.glance import Glance
from board.paths import segment
from board.site import Site
from jobqueue.inspector.outbox_acts import OutboxActs
from jobqueue.outbox.shelf import Shelf, Shelved

ROW_ID: Final = "rowId"
"""The parameter of an address."""
_MOST_DIGITS: Final = 19
PAGE_S: Final = 0.005
"""How long the overview waits for a look at the table, which is enough for most."""
SCRAPE_S: Final = 1.0


def outbox_acts_of(site: Site, request: Request) -> OutboxActs:
    """The acts in the name of the one who asks. Each is in the audit log, refused ones too."""
    return OutboxActs(site.app, site.opened_database, actor_of(request.scope), site.inspector.has_queue)


def row_id_of(request: Request) -> int:
    """The row of the address. Raises: HTTPException with 404 for what is no number."""
    given = segment(request, ROW_ID)
    if not (given.isascii() and given.isdigit() and len(given) <= _MOST_DIGITS):
        raise HTTPException(404)
    return int(given)


def set_aside_of(site: Site) -> Glance[Mapping[str, int]]:
    """For the overview: the queues with rows that are set aside, and how many of them, up to LEAST_COUNTED.

    Where the board was given no database there is none to see: to open one takes longer than the page.
    """

    async def look() -> Mapping[str, int]:
        if site.database is None:
            return {}
        return dict(await Shelf(site.database, site.app.settings.jobs_prefix).set_aside())

    return Glance(look, {}, PAGE_S)


def rows_of(site: Site) -> Glance[tuple[Shelved, ...]]:
    """For the metrics: the queues that have rows."""

    async def look() -> tuple[Shelved, ...]:
        async with site.opened_database() as database:
            return await Shelf(database, site.app.settings.jobs_prefix).queues()

    return Glance(look, (), SCRAPE_S)
