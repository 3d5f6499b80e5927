"""The Node peer that every interop test talks to."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest_asyncio

from tests.interop.node_peer import NodePeer


@pytest_asyncio.fixture
async def node(redis_url: str, prefix: str) -> AsyncIterator[NodePeer]:
    """A Node process of its own for the test, on the queue `jobs` of the test's prefix."""
    async with NodePeer(redis_url, prefix) as peer:
        yield peer
