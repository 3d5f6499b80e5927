"""Skimming: which queues have rows: one step into the index for each of them, however many rows there are."""

from __future__ import annotations

from typing import Final

from sqlalchemy import Subquery, func, literal, select

from jobqueue.outbox.table import OutboxRow

MOST_QUEUES: Final = 50


def queues_of(prefix: str, most: int = MOST_QUEUES) -> Subquery:
    """The queues of a prefix that have rows, by name, the first so many. Shape: one column, `queue`."""
    smallest = select(func.min(OutboxRow.queue)).where(OutboxRow.prefix == prefix)
    first = select(smallest.scalar_subquery().label("queue"), literal(1).label("number"))
    found = first.cte("found", recursive=True)
    following = smallest.where(OutboxRow.queue > found.c.queue).correlate(found).scalar_subquery()
    found = found.union_all(
        select(following, found.c.number + 1).where(found.c.queue.is_not(None), found.c.number < most)
    )
    return select(found.c.queue).where(found.c.queue.is_not(None)).subquery("queues")
