"""Check: one thing that the doctor looked at, and what to do where it is not well."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "warning", "error"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at. `advice` says what to do; it is set unless the status is `ok`."""

    name: str
    status: Status
    detail: str
    advice: str | None = None


def some_of(names: Sequence[str]) -> str:
    """The first of them, as a detail shows them."""
    return f"{', '.join(names[:3])}{', …' if len(names) > 3 else ''}"
