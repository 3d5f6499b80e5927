"""Audit: who did what to a queue, and what came of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Via = Literal["basic", "bearer", "local", "command line"]


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts, how he was let in, and the request that the act belongs to."""

    name: str
    via: Via
    request_id: str | None = None
