"""Check: one thing that the doctor looked at, and what to do where it is not well."""

from __future__ import annotations

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
