"""Stored: what a store tells of an object."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class StoredObject:
    """An object as the store lists it. `written_at` is by the store's clock, in UTC."""

    key: str
    size_bytes: int
    written_at: datetime
