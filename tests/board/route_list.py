"""The list of every route with its answer to each kind of credentials, by rule.

`python -m tests.board.route_list` prints docs/routes.md; test_routes_and_credentials.py holds that page equal, and the
app to the rule.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final, Literal

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route

from board import create_app
from jobqueue.app import App
from jobqueue.registry import Registry
from jobqueue.settings import Settings
from tests.board.test_access import basic, bearer

Place = Literal["local", "closed", "protected"]
"""ENVIRONMENT=local; elsewhere without credentials; elsewhere with a user, a password and a token."""

HEALTH: Final = ("/healthz", "/readyz")
OWN: Final = "own"
CROSS_SITE: Final = {"sec-fetch-site": "cross-site"}
SAME_ORIGIN: Final = {"sec-fetch-site": "same-origin"}
FOREIGN_ORIGIN: Final = {"origin": "http://evil.example"}
_NAMES: Final = {"queue": "jobs", "state": "waiting", "name": "heartbeat", "id": "0198c5a0-0000-7000-8000-000000000000"}


@dataclass(frozen=True, slots=True)
class Asked:
    """One way to ask. The answer is that of the route itself, or the status of a refusal."""

    title: str
    place: Place
    headers: Mapping[str, str]
    read: str
    change: str
    admin: tuple[str, str] | None = None
    """Of the admin routes, where a token opens them alone: of a read, of a change."""


def _bearer() -> dict[str, str]:
    return {"authorization": bearer()[b"authorization"].decode("latin-1")}


ASKED: Final = (
    Asked("local", "local", {}, OWN, OWN),
    Asked("local, cross-site", "local", CROSS_SITE, OWN, "403"),
    Asked("local, foreign origin", "local", FOREIGN_ORIGIN, OWN, "403"),
    Asked("local, foreign host", "local", {"host": "evil.example"}, "403", "403"),
    Asked("nothing set", "closed", {}, "404", "404"),
    Asked("nothing set, basic", "closed", basic() | SAME_ORIGIN, "404", "404"),
    Asked("nothing set, bearer", "closed", _bearer(), "404", "404"),
    Asked("none", "protected", {}, "401", "401"),
    Asked("wrong", "protected", basic(password="wrong") | SAME_ORIGIN, "401", "401"),
    Asked("wrong bearer", "protected", {"authorization": "Bearer wrong"}, "401", "401"),
    Asked("right", "protected", basic() | SAME_ORIGIN, OWN, OWN),
    Asked("right, cross-site", "protected", basic() | CROSS_SITE, OWN, "403"),
    Asked("right, foreign origin", "protected", basic() | FOREIGN_ORIGIN, OWN, "403"),
    Asked("right, neither header", "protected", basic(), OWN, "403"),
    Asked("bearer", "protected", _bearer(), "401", "401", (OWN, OWN)),
    Asked("bearer, cross-site", "protected", _bearer() | CROSS_SITE, "401", "401", (OWN, OWN)),
)


@dataclass(frozen=True, slots=True, order=True)
class Listed:
    """A route of the app: its path as it is declared, and an address of it."""

    path: str
    method: str

    @property
    def address(self) -> str:
        return re.sub(r"\{(\w+)(?::\w+)?\}", lambda match: _NAMES.get(match[1], "nope"), self.path)

    def by_rule(self, asked: Asked) -> str:
        """A status, or OWN where the route itself answers."""
        if self.path in HEALTH:
            return OWN
        is_read = self.method in ("GET", "HEAD")
        if asked.admin is not None and self.path.startswith("/api/admin/"):
            return asked.admin[0 if is_read else 1]
        return asked.read if is_read else asked.change


def listed(app: Starlette) -> list[Listed]:
    """All routes of an app, those of what is mounted in it too."""
    return sorted(_listed("", app.routes))


def _listed(below: str, routes: list[BaseRoute]) -> Iterator[Listed]:
    for route in routes:
        match route:
            case Mount() if route.routes:
                yield from _listed(below + route.path, route.routes)
            case Mount():
                yield from (Listed(f"{below}{route.path}/board.css", method) for method in ("GET", "HEAD"))
            case Route():
                yield from (Listed(below + route.path, method) for method in route.methods or ())
            case _:
                raise TypeError(f"{route!r} is of no kind that this list knows")


def page(app: Starlette) -> str:
    """docs/routes.md."""
    columns = [asked.title for asked in ASKED if asked.title in _SHOWN]
    lines = [
        _HEAD,
        f"| | | {' | '.join(_SHOWN[title] for title in columns)} |",
        f"|---|---|{'---|' * len(columns)}",
    ]
    for one in listed(app):
        if one.method != "HEAD":
            answers = (_cell(one, asked) for asked in ASKED if asked.title in _SHOWN)
            lines.append(f"| {one.method} | `{one.path}` | {' | '.join(answers)} |")
    return "\n".join([*lines, ""])


def _cell(one: Listed, asked: Asked) -> str:
    answer = one.by_rule(asked)
    return "✓" if answer == OWN else answer


_SHOWN: Final = {
    "local": "local",
    "local, cross-site": "local, from a foreign page",
    "nothing set": "elsewhere, nothing set",
    "none": "no credentials",
    "wrong": "wrong ones",
    "right": "right ones",
    "right, cross-site": "right ones, from a foreign page",
    "bearer": "bearer token",
}
_HEAD: Final = """# Every route, and who gets an answer

Made by `python -m tests.board.route_list` from the app itself; a test asks each route each of these questions and holds
this page equal. ✓ is the route's own answer, a number the status of the refusal; HEAD is answered as GET. *Local* is
`ENVIRONMENT=local` and a host of this machine (any other host is 403); *nothing set* any other environment without
credentials; the columns behind it are with a user name, a password and `ADMIN_API_TOKEN` set. *From a foreign page* is
a request with `Sec-Fetch-Site: cross-site`, or with a foreign `Origin`; with the right basic credentials and neither
header a change is 403, too. docs/board.md says why.
"""


def bare_app() -> Starlette:
    """Only to be looked at: nothing is opened."""
    settings = Settings.load(
        environment="local", bull_board_path="/bullBoard", bull_board_username=None, bull_board_password=None
    )
    return create_app(App(Registry([]), settings))


if __name__ == "__main__":
    sys.stdout.write(page(bare_app()))
