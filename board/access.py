"""Access: who may ask what. Local is open for this machine only; elsewhere there are credentials, or nothing at all."""

from __future__ import annotations

import base64
import binascii
import hmac
import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from pydantic import SecretStr
from starlette.types import ASGIApp, Receive, Scope, Send

from board.errors import Errors, request_id
from board.paths import route_path
from jobqueue.errors import SettingsError
from jobqueue.inspector import Actor
from jobqueue.job import MAX_NAME_LENGTH, is_plain_text
from jobqueue.problems import Problem
from jobqueue.settings import Settings

_log = logging.getLogger("board")

OPEN_PATHS = frozenset({"/healthz", "/readyz"})
ADMIN_PATH = "/api/admin"
REALM = "BullBoard"
NOBODY_IN_PARTICULAR = "admin"

_READS = frozenset({"GET", "HEAD", "OPTIONS"})
_OWN_SITE = (b"same-origin", b"none")
_LOCAL_HOST = re.compile(rb"(localhost|127\.0\.0\.1|\[::1\])(:[0-9]{1,5})?", re.IGNORECASE)
_DEFAULT_PORTS = {"http": ":80", "https": ":443"}
_LONGEST_CREDENTIALS = 8 * 1024

Proof = Literal["basic", "bearer"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the decision looks at. Header names are in lower case, as ASGI has them."""

    method: str
    path: str
    headers: Sequence[tuple[bytes, bytes]]

    def all(self, name: bytes) -> list[bytes]:
        return [value.strip() for header, value in self.headers if header == name]

    @property
    def is_for_admin(self) -> bool:
        return self.path == ADMIN_PATH or self.path.startswith(f"{ADMIN_PATH}/")

    @property
    def is_change(self) -> bool:
        return self.method not in _READS


@dataclass(frozen=True, slots=True)
class Access:
    """The rules of one app. Credentials are bytes, since a header is, and are compared in constant time."""

    is_local: bool
    username: bytes | None = None
    password: bytes | None = None
    token: bytes | None = None
    read_only: bool = False

    @classmethod
    def of(cls, settings: Settings, *, read_only: bool = False) -> Access:
        """An empty value counts as not set. Raises: SettingsError for half a pair, or a user name with a colon."""
        username = settings.bull_board_username or None
        password = _secret(settings.bull_board_password)
        if (username is None) != (password is None):
            missing = "BULL_BOARD_PASSWORD" if password is None else "BULL_BOARD_USERNAME"
            raise SettingsError(missing, "is not set, but its other half is; set both or neither")
        if username is not None and ":" in username:
            raise SettingsError("BULL_BOARD_USERNAME", "must not contain ':', which ends a user name in basic auth")
        if username is not None and not is_plain_text(username, MAX_NAME_LENGTH):
            fault = f"must be at most {MAX_NAME_LENGTH} characters, none of them a control character"
            raise SettingsError("BULL_BOARD_USERNAME", fault)
        name, token = username.encode() if username else None, _secret(settings.admin_api_token)
        return cls(settings.is_local, name, password, token, read_only)

    def warn_if_closed(self) -> None:
        """Say at the start, once, what will answer 404."""
        if self.is_local or self.username is not None:
            return
        what = "the board is disabled" if self.token else "the board and the admin routes are disabled"
        _log.warning(
            "%s (404): set BULL_BOARD_USERNAME and BULL_BOARD_PASSWORD, or ENVIRONMENT=local on your own machine", what
        )

    def refusal(self, asked: Asked) -> Problem | None:
        """Why this is not allowed; None where it is."""
        if asked.path in OPEN_PATHS:
            return None
        proof = self._proof(asked)
        if self.is_local:
            refused = None if _is_local_host(asked) else _NOT_THIS_HOST
        else:
            refused = None if proof else self._closed_or_locked(asked)
        if refused is None and asked.is_change and proof != "bearer" and not self._comes_from_here(asked):
            return _FOREIGN_CHANGE
        if refused is None and asked.is_change and self.read_only:
            return _READ_ONLY
        return refused

    def actor(self, asked: Asked, request_id: str) -> Actor:
        """Who asks: by name where he has proved it, and how he was let in."""
        proof = self._proof(asked)
        if proof == "basic" and self.username is not None:
            return Actor(self.username.decode(), "basic", request_id)
        return Actor(NOBODY_IN_PARTICULAR, proof or "local", request_id)

    def _closed_or_locked(self, asked: Asked) -> Problem:
        if self.username is not None:
            return _locked(f'Basic realm="{REALM}", charset="UTF-8"')
        if self.token is not None and asked.is_for_admin:
            return _locked(f'Bearer realm="{REALM}"')
        return Problem(404, "not_found", "there is nothing at this address")

    def _proof(self, asked: Asked) -> Proof | None:
        """How the caller has proved who he is. Both parts of a pair are compared, whatever the first one says."""
        scheme, credentials = _credentials(asked)
        username, password = _decode_basic(credentials) if scheme == b"basic" else (b"", b"")
        is_user = hmac.compare_digest(username, self.username or b"")
        is_password = hmac.compare_digest(password, self.password or b"")
        if self.username is not None and self.password is not None and is_user and is_password:
            return "basic"
        is_token = hmac.compare_digest(credentials, self.token or b"")
        if self.token is not None and asked.is_for_admin and scheme == b"bearer" and is_token:
            return "bearer"
        return None

    def _comes_from_here(self, asked: Asked) -> bool:
        """Whether a change was meant by its sender: a browser sends basic credentials for any page that asks it to.

        A bearer token is never sent that way, so its changes are not looked at here.
        """
        sites = asked.all(b"sec-fetch-site")
        if sites:
            return all(site in _OWN_SITE for site in sites)
        origins = asked.all(b"origin")
        if origins:
            return len(origins) == 1 and _is_own_origin(origins[0], asked.all(b"host"))
        return self.is_local


_NOT_THIS_HOST = Problem(
    403, "forbidden", "ENVIRONMENT is local, so only the hosts localhost, 127.0.0.1 and [::1] are served"
)
_READ_ONLY = Problem(403, "read_only", "this board is read-only")
_FOREIGN_CHANGE = Problem(403, "forbidden", "a change must come from the board's own pages or carry a bearer token")


def _locked(challenge: str) -> Problem:
    return Problem(401, "unauthorized", "credentials are needed", headers={"www-authenticate": challenge})


def _secret(value: SecretStr | None) -> bytes | None:
    text = value.get_secret_value() if value is not None else ""
    return text.encode() or None


def _credentials(asked: Asked) -> tuple[bytes, bytes]:
    """The scheme in lower case and what follows it; nothing where there is not exactly one header, of sane size."""
    headers = asked.all(b"authorization")
    if len(headers) != 1 or len(headers[0]) > _LONGEST_CREDENTIALS:
        return b"", b""
    scheme, _, credentials = headers[0].partition(b" ")
    return scheme.lower(), credentials.strip()


def _decode_basic(credentials: bytes) -> tuple[bytes, bytes]:
    """User name and password; the first colon parts them, so a password may hold more of them."""
    try:
        decoded = base64.b64decode(credentials, validate=True)
    except binascii.Error:
        return b"", b""
    username, _, password = decoded.partition(b":")
    return username, password


def _is_local_host(asked: Asked) -> bool:
    hosts = asked.all(b"host")
    return len(hosts) == 1 and _LOCAL_HOST.fullmatch(hosts[0]) is not None


def _is_own_origin(origin: bytes, hosts: Sequence[bytes]) -> bool:
    """The host decides, not the scheme: behind a proxy that ends TLS the app sees http where the browser saw https."""
    text = origin.decode("latin-1").lower()
    scheme, separator, authority = text.partition("://")
    if len(hosts) != 1 or not separator or scheme not in _DEFAULT_PORTS:
        return False
    default_port = _DEFAULT_PORTS[scheme]
    host = hosts[0].decode("latin-1").lower()
    return authority.removesuffix(default_port) == host.removesuffix(default_port)


class AccessGate:
    """Middleware: what `access` refuses never reaches the app."""

    def __init__(self, app: ASGIApp, access: Access, errors: Errors) -> None:
        self._app = app
        self._access = access
        self._errors = errors

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":
            await send({"type": "websocket.close", "code": 1008})
            return
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        asked = Asked(scope["method"], route_path(scope), scope["headers"])
        refusal = self._access.refusal(asked)
        if refusal is None:
            actor = self._access.actor(asked, request_id(scope))
            await self._app({**scope, "board.actor": actor}, receive, send)
            return
        await self._errors.answer(scope, refusal)(scope, receive, send)


def actor_of(scope: Scope) -> Actor:
    """Who sent a request: the creator of what it makes."""
    actor: Actor = scope["board.actor"]
    return actor
