"""What README takes for granted: a service's own way to fetch its data, and the service."""

from __future__ import annotations

from collections.abc import AsyncIterator

FILES = {"myservice/jobs.py": "from handlers import registry as registry\n"}


async def fetch_pages(resource_id: str) -> AsyncIterator[str]:
    for number in range(3):
        yield f"page {number} of {resource_id}"
