"""Render: templates to pages. Everything is escaped; the words for times, sizes and JSON are here."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from hashlib import blake2s
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import HTMLResponse

from board.paths import Links
from jobqueue.clock import now_ms

MAX_SHOWN: Final = 100_000
MAX_NAME_SHOWN: Final = 200
MAX_BRIEF: Final = 120
_SECOND_MS, _MINUTE_MS, _HOUR_MS, _DAY_MS = 1_000, 60_000, 3_600_000, 86_400_000
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]"
)
"""Control characters but for the tab and the end of a line, those that turn the direction of the text, and what has no
width."""


class Renderer:
    """The board's templates, compiled once. `has_outbox` is whether its navigation leads to the outbox."""

    def __init__(self, *, has_outbox: bool) -> None:
        self._environment = Environment(
            loader=PackageLoader("board"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        words: dict[str, Any] = {
            "moment": moment,
            "iso": iso,
            "ago": ago,
            "since": since,
            "span": span,
            "pretty": pretty,
            "cut": cut,
            "brief": brief,
            "shown": shown,
            "number": number,
            "compact": compact,
            "key": key,
        }
        self._environment.filters.update(words)
        self._has_outbox = has_outbox

    def page(
        self,
        template: str,
        links: Links,
        context: Mapping[str, Any],
        *,
        status: int = 200,
        headers: Mapping[str, str] | None = None,
    ) -> HTMLResponse:
        known = {"links": links, "now_ms": now_ms(), "has_outbox": self._has_outbox}
        text = self._environment.get_template(template).render(**known, **context)
        return HTMLResponse(text, status, headers)


def moment(at_ms: int | None) -> str:
    """2026-01-31 12:00:00 in UTC; a number that is no time is shown as it is."""
    if at_ms is None:
        return "–"
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%S")
    except (ValueError, OverflowError, OSError):
        return str(at_ms)[:40]


def iso(at_ms: int) -> str:
    """2026-01-31T12:00:00Z, as a program reads it; empty for a number that is no time."""
    try:
        return datetime.fromtimestamp(at_ms / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return ""


def ago(at_ms: int | None, now: int) -> str:
    """How far a time is from now: "5 min ago", "in 2 h"."""
    if at_ms is None:
        return ""
    distance = span(abs(now - at_ms))
    return f"{distance} ago" if at_ms <= now else f"in {distance}"


def since(at_ms: int, now: int) -> str:
    """How long ago a time was: "5 min"; clocks that disagree make no negative duration."""
    return span(max(now - at_ms, 0))


def span(duration_ms: int) -> str:
    """A duration in the largest unit that fits: 340 ms, 1.5 s, 12 s, 5 min, 3 h, 20 d."""
    for unit_ms, unit in ((_DAY_MS, "d"), (_HOUR_MS, "h"), (_MINUTE_MS, "min")):
        if duration_ms >= unit_ms:
            return f"{duration_ms // unit_ms} {unit}"
    if duration_ms >= 10 * _SECOND_MS:
        return f"{duration_ms // _SECOND_MS} s"
    return f"{duration_ms / _SECOND_MS:.1f} s" if duration_ms >= _SECOND_MS else f"{duration_ms} ms"


def number(value: int) -> str:
    """1,234,567"""
    return f"{value:,}"


def compact(value: int) -> str:
    """A number in few characters: 950, 1.2k, 34k, 5.6M."""
    for unit, letter in ((10**9, "G"), (10**6, "M"), (10**3, "k")):
        if value >= unit:
            return (
                f"{value / unit:.1f}".removesuffix(".0") + letter if value < 10 * unit else f"{value // unit}{letter}"
            )
    return str(value)


def pretty(value: Any) -> str:
    """JSON for reading."""
    return cut(json.dumps(value, indent=2, ensure_ascii=False))


def cut(text: str) -> str:
    """Text for reading, cut where it would burden the browser."""
    if len(text) <= MAX_SHOWN:
        return visible(text)
    return f"{visible(text[:MAX_SHOWN])}\n… and {len(text) - MAX_SHOWN} characters more; the admin route has them all"


def brief(value: Any) -> str:
    """JSON on one line, for a list."""
    return shown(json.dumps(value, ensure_ascii=False), MAX_BRIEF)


def shown(text: object, most: int = MAX_NAME_SHOWN) -> str:
    """A name or a line as a list shows it: cut, and nothing in it that cannot be seen."""
    words = str(text)
    return visible(words if len(words) <= most else f"{words[: most - 1]}…")


def visible(text: str) -> str:
    """The text with what cannot be seen spelled out, so that no name looks like another one: \\u202e."""
    return _UNSEEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)


def key(value: object) -> str:
    """What a row is known by to the script: the same for what is equal, and nothing of the value is in it."""
    return blake2s(repr(value).encode(), digest_size=8).hexdigest()
