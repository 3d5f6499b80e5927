"""Queues: which queues a job of ours is about, as its payload says."""

from __future__ import annotations

from typing import Annotated, TypeAlias

from pydantic import Field

from jobqueue.inspector import Inspector, QueueView
from jobqueue.job import QUEUE_NAME

QueueNames: TypeAlias = tuple[Annotated[str, Field(pattern=f"^{QUEUE_NAME}$")], ...]


async def look_at(inspector: Inspector, names: QueueNames | None) -> tuple[QueueView, ...]:
    """The queues of these names, else all that the inspector finds under the prefix. Raises: as the inspector."""
    if names is None:
        return await inspector.queues()
    return tuple([await inspector.queue(name) for name in dict.fromkeys(names)])
