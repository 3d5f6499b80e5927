"""Render: templates to pages. Everything is escaped; the words for times, sizes and JSON are here."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from board.paths import Links
from jobqueue.clock import now_ms

MAX_SHOWN: Final = 100_000
_SECOND_MS, _MINUTE_MS, _HOUR_MS, _DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000


class Renderer:
    """The board's templates, compiled once."""

    def __init__(self) -> None:
        self._environment = Environment(
            loader=PackageLoader("board"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        words: dict[str, Any] = {
            "moment": moment,
            "ago": ago,
            "span": span,
            "pretty": pretty,
            "cut": cut,
            "brief": brief,
        }
        self._environment.filters.update(words)

    def page(
        self,
        template: str,
        links: Links,
        context: Mapping[str, Any],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        text = self._environment.get_template(template).render(links=links, now_ms=now_ms(), **context)
        return HTMLResponse(text, status, headers)


def moment(at_ms: int | None) -> str:
    """2026-01-31 12:00:00 in UTC; a number that is no time is shown as it is."""
    if at_ms is None:
        return "–"
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return str(at_ms)[:40]


def ago(at_ms: int | None, now: int) -> str:
    """How far a time is from now: "5 min ago", "in 2 h"."""
    if at_ms is None:
        return ""
    distance = span(abs(now - at_ms))
    return f"{distance} ago" if at_ms <= now else f"in {distance}"


def span(duration_ms: int) -> str:
    """A duration in the largest unit that fits: 340 ms, 1.5 s, 12 s, 5 min, 3 h, 20 d."""
    for unit_ms, unit in ((_DAY_MS, "d"), (_HOUR_MS, "h"), (_MINUTE_MS, "min")):
        if duration_ms >= unit_ms:
            return f"{duration_ms // unit_ms} {unit}"
    if duration_ms >= 10 * _SECOND_MS:
        return f"{duration_ms // _SECOND_MS} s"
    return f"{duration_ms / _SECOND_MS:.1f} s" if duration_ms >= _SECOND_MS else f"{duration_ms} ms"


def pretty(value: Any) -> str:
    """JSON for reading."""
    return cut(json.dumps(value, indent=2, ensure_ascii=False))


def cut(text: str) -> str:
    """Text for reading, cut where it would burden the browser."""
    if len(text) <= MAX_SHOWN:
        return text
    return f"{text[:MAX_SHOWN]}\n… and {len(text) - MAX_SHOWN} characters more; the admin route has them all"


def brief(value: Any) -> str:
    """JSON on one line, for a list."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 120 else f"{text[:119]}…"
