"""Cron rows: those of R11's table, and their writing past every check."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from jobqueue.database import new_id

STEADY: Final = {
    "steady-yearly": ("0 0 1 1 *", "UTC"),
    "steady-leap": ("0 12 29 2 *", "Europe/Berlin"),
    "steady-night": ("30 1 5 3 *", "America/New_York"),
    "steady-names": ("15 10 * FEB SUN", "Asia/Kolkata"),
}
"""Rows that nobody touches, with slots far away: nothing of their schedulers may change."""

BROKEN: Final = {"broken-pattern": "61 * * * *", "broken-words": "every day"}
"""Rows whose patterns mean nothing, as only SQL can write them."""

CLAIMED: Final = "claimed"
"""A row with the id of a scheduler that is not ours."""


EDITED: Final = "edited-"
"""How the scheduler ids of those begin that writers edit."""


def edited_id(number: int) -> str:
    """The scheduler id of one of the rows that writers edit."""
    return f"{EDITED}{number}"


def raw_row(job_id: str, pattern: str) -> dict[str, Any]:
    """All columns that have no default, as somebody with SQL would write them."""
    moment = datetime.now(UTC)
    return {
        "id": new_id(),
        "job_id": job_id,
        "name": job_id,
        "pattern": pattern,
        "handler": "slot",
        "payload": ["raw", 1],
        "created_at": moment,
        "updated_at": moment,
    }
