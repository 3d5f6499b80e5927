"""What docs/handlers.md takes for granted: a service's orders and its data."""

from __future__ import annotations

from collections.abc import AsyncIterator


class RateLimited(Exception):
    """The bank says when it is to be asked again."""

    retry_after_ms = 1000


class Order:
    """One that can be charged."""

    is_locked = False

    async def charge(self) -> None: ...


async def find_order(order_id: str) -> Order | None:
    return Order()


async def fetch_pages(resource_id: str) -> AsyncIterator[str]:
    yield f"the page of {resource_id}"
