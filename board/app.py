"""App: puts the board together. The order of the layers is the order in which a request meets them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from board.access import ADMIN_PATH, OPEN_PATHS, Access, AccessGate
from board.api import all_operations
from board.api.service import METRICS_PATH
from board.errors import Errors, Refused
from board.frame import Frame
from board.pages import page_routes
from board.paths import EncodedPath, Links
from board.patience import BODY_S, Patience
from board.render import Renderer
from board.routing import routes_of
from board.site import Site
from jobqueue.app import App
from jobqueue.database import Database
from jobqueue.errors import JobqueueError, SettingsError
from jobqueue.inspector import Inspector


def create_app(
    app: App,
    *,
    database: Database | None = None,
    database_ready: Callable[[], Awaitable[None]] | None = None,
    read_only: bool = False,
) -> Starlette:
    """The board and the admin routes of `app`, to be served by itself or mounted under any path.

    The caller opens and closes `app` and `database`, which has the cron jobs; without it each request that needs the
    database of the settings opens it for itself, and `/readyz` asks Redis alone. `database_ready` is asked by `/readyz`
    in place of the database: it returns when that answers and raises when it does not.
    With `read_only`, or BULL_BOARD_READ_ONLY, every change is refused.
    What the access rules close is said once, in the log, by this call.

    Raises: SettingsError for half a pair of credentials, or a board path that is taken by another route.
    """
    board_path = _checked_board_path(app.settings.bull_board_path)
    read_only = read_only or app.settings.bull_board_read_only
    access = Access.of(app.settings, read_only=read_only)
    access.warn_if_closed()
    has_outbox = database is not None or app.settings.has_overflow
    renderer, inspector = Renderer(has_outbox=has_outbox), Inspector(app)
    errors = Errors(board_path, renderer)
    site = Site(app, inspector, database, renderer, board_path, read_only)
    ready = database_ready or (database.ping if database else None)
    checks = {"redis": inspector.ping} | ({"database": ready} if ready else {})

    operations = all_operations(site, checks)

    async def go_to_board(request: Request) -> Response:
        return RedirectResponse(Links.of(request.scope, board_path).queues())

    starlette = Starlette(
        routes=[
            *routes_of(operation.route for operation in operations),
            *page_routes(site),
            Route("/", go_to_board, methods=["GET"]),
        ],
        middleware=[
            Middleware(EncodedPath),
            Middleware(Frame, errors=errors),
            Middleware(AccessGate, access=access, errors=errors),
            Middleware(Patience, seconds=BODY_S),
        ],
        exception_handlers={
            HTTPException: errors.handle,
            Refused: errors.handle,
            JobqueueError: errors.handle,
        },
    )
    # It would answer `/healthz/` with an address made of the Host header.
    starlette.router.redirect_slashes = False
    return starlette


def _checked_board_path(path: str) -> str:
    taken = {*OPEN_PATHS, ADMIN_PATH, METRICS_PATH, "/api"}
    if path in taken or path.startswith("/api/") or {".", ".."} & set(path.split("/")):
        raise SettingsError("BULL_BOARD_PATH", f"{path!r} is taken or no plain path; use one like /bullBoard")
    return path
