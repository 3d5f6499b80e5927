"""The Node peer that the tests of flows talk to, and worker processes that may be killed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.interop.node_peer import NodePeer
from tests.interop.node_shared import SharedNode
from tests.worker.crew import Crew, crew_in


@pytest_asyncio.fixture
async def node(node_process: SharedNode, redis_url: str, prefix: str) -> AsyncIterator[NodePeer]:
    """A Node peer on the queue `jobs` of the test's prefix, reading the events."""
    peer = NodePeer.of(node_process, redis_url, prefix)
    await peer.start_events()
    yield peer
    await peer.reset()


@pytest.fixture
def crew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crew]:
    """Workers that may die; a worker in the test's own process writes to the same ledger."""
    with crew_in(tmp_path) as crew:
        monkeypatch.setenv("LEDGER", str(crew.ledger))
        yield crew
