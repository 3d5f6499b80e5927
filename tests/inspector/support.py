"""What the tests of the inspector share: somebody who acts, and what is noted of it."""

from __future__ import annotations

from typing import Final

from jobqueue.inspector import Actor, AuditEntry, Inspector

SOMEBODY: Final = Actor("alice", "basic", "request-1")


async def entries_of(inspector: Inspector, queue: str | None = "jobs") -> tuple[AuditEntry, ...]:
    """The last acts that are noted, of one queue or of all."""
    return (await inspector.audit(queue, limit=100)).entries
