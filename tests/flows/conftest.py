"""The Node peer that the tests of flows talk to, and worker processes that may be killed."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio

from tests.interop.node_peer import NodePeer
from tests.worker.crew import Crew, crew_in


@pytest_asyncio.fixture
async def node(redis_url: str, prefix: str) -> AsyncIterator[NodePeer]:
    """A Node process of its own for the test, on the queue `jobs` of the test's prefix, reading the events."""
    async with NodePeer(redis_url, prefix) as peer:
        await peer.start_events()
        yield peer


@pytest.fixture
def crew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crew]:
    """Workers that may die; a worker in the test's own process writes to the same ledger."""
    with crew_in(tmp_path) as crew:
        monkeypatch.setenv("LEDGER", str(crew.ledger))
        yield crew
