"""What the tests of the worker share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.worker.crew import Crew, crew_in


@pytest.fixture
def crew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Crew]:
    """Workers that may die; a worker in the test's own process writes to the same ledger."""
    with crew_in(tmp_path) as crew:
        monkeypatch.setenv("LEDGER", str(crew.ledger))
        yield crew
