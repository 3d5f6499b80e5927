"""The Node peer that every interop test talks to, and bull-board's buttons."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import pytest_asyncio

from tests.interop.board import Buttons
from tests.interop.node_peer import NodePeer
from tests.interop.node_shared import SharedNode, shared_node
from tests.support.redis_server import RedisServer


@pytest_asyncio.fixture
async def node(redis_url: str, prefix: str) -> AsyncIterator[NodePeer]:
    """A Node process of its own for the test, on the queue `jobs` of the test's prefix."""
    async with NodePeer(redis_url, prefix) as peer:
        yield peer


@pytest.fixture(scope="session")
def node_process(redis_server: RedisServer) -> Iterator[SharedNode]:
    """The Node process of the tests that need none of their own."""
    with shared_node(redis_server.url) as process:
        yield process


@pytest_asyncio.fixture
async def watched(node_process: SharedNode, redis_url: str, prefix: str) -> AsyncIterator[NodePeer]:
    """A Node peer on the queue `jobs` of the test's prefix, which reads the queue's events."""
    peer = NodePeer.of(node_process, redis_url, prefix)
    await peer.start_events()
    yield peer
    await peer.reset()


@pytest_asyncio.fixture
async def buttons(watched: NodePeer) -> AsyncIterator[Buttons]:
    """bull-board on the queue `jobs`, by the same peer."""
    async with httpx.AsyncClient(base_url=await watched.start_board()) as http:
        yield Buttons(http)
