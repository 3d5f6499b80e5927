"""Presence: what a worker tells of itself while it serves a queue, and for how long that holds."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import Final

from pydantic import TypeAdapter, ValidationError

GONE_MS: Final = 30_000
"""A worker that was killed is listed no longer than this."""


@dataclass(frozen=True, slots=True)
class Presence:
    """A start of a worker; `start` is the same in all queues that it serves. Units: epoch milliseconds."""

    start: str
    name: str
    host: str
    pid: int
    version: str
    python: str
    concurrency: int
    queues: tuple[str, ...]
    started_at_ms: int

    def as_json(self) -> str:
        """Shape: an object with the fields as they are named here."""
        return json.dumps(asdict(self))


def read_presence(text: str | None) -> Presence | None:
    """What `as_json` made; None for anything else, which another version has written."""
    try:
        return None if text is None else _PRESENCE.validate_json(text)
    except ValidationError:
        return None


_PRESENCE: Final = TypeAdapter(Presence)
