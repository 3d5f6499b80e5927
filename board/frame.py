"""Frame: what every answer has, whoever gave it: a request id, the security headers, and never a bare crash."""

from __future__ import annotations

import logging
import re
import uuid
from collections.abc import Iterable

from starlette.datastructures import MutableHeaders
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from board.errors import UNEXPECTED, Errors

_log = logging.getLogger("board")

_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")

SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; "
        "base-uri 'none'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "cache-control": "no-store",
    "cross-origin-resource-policy": "same-origin",
    # Not no-referrer: with that, browsers send `Origin: null` with the board's own forms.
    "referrer-policy": "same-origin",
}


class Frame:
    """The outermost middleware."""

    def __init__(self, app: ASGIApp, errors: Errors) -> None:
        self._app = app
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        identity = _request_id(scope["headers"])
        scope = {**scope, "board.request_id": identity}
        has_started = False

        async def send_framed(message: Message) -> None:
            nonlocal has_started
            if message["type"] == "http.response.start":
                has_started = True
                headers = MutableHeaders(scope=message)
                headers.update(SECURITY_HEADERS | {"x-request-id": identity})
            await send(message)

        try:
            await self._app(scope, receive, send_framed)
        except ClientDisconnect:
            _log.info("%s %r: the client has hung up (request %s)", scope["method"], scope["path"], identity)
        except Exception:
            _log.exception("%s %r failed (request %s)", scope["method"], scope["path"], identity)
            if has_started:
                raise
            await self._errors.answer(scope, UNEXPECTED)(scope, receive, send_framed)


def _request_id(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's, where it is harmless, so that one id can be followed through many services; else a new one."""
    given = [value for name, value in headers if name == b"x-request-id"]
    if len(given) == 1 and _REQUEST_ID.fullmatch(given[0]):
        return given[0].decode()
    return uuid.uuid4().hex
