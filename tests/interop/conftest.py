"""The Node peer that every interop test talks to, and bull-board's buttons."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest_asyncio

from tests.interop.board import Buttons
from tests.interop.node_peer import NodePeer
from tests.interop.node_shared import SharedNode


@pytest_asyncio.fixture
async def node(node_process: SharedNode, redis_url: str, prefix: str) -> AsyncIterator[NodePeer]:
    """A Node peer on the queue `jobs` of the test's prefix."""
    peer = NodePeer.of(node_process, redis_url, prefix)
    yield peer
    await peer.reset()


@pytest_asyncio.fixture
async def watched(node: NodePeer) -> NodePeer:
    """The Node peer, which reads the queue's events."""
    await node.start_events()
    return node


@pytest_asyncio.fixture
async def buttons(watched: NodePeer) -> AsyncIterator[Buttons]:
    """bull-board on the queue `jobs`, by the same peer."""
    async with httpx.AsyncClient(base_url=await watched.start_board()) as http:
        yield Buttons(http)
