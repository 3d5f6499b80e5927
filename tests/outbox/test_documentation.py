"""The code on docs/outbox.md does what the page says."""

from __future__ import annotations

import re
import runpy
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.ext.asyncio import AsyncSession

from jobqueue import App, Worker, set_default_app
from jobqueue.database import Database
from tests.conftest import MakeSettings
from tests.outbox.ground import rows

PAGE = Path(__file__).parents[2] / "docs" / "outbox.md"
WAIT_S = 20.0


@pytest.fixture
def page(tmp_path: Path) -> dict[str, Any]:
    """The names that the page's code defines."""
    file = tmp_path / "outbox_page.py"
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    file.write_text("\n".join(blocks), encoding="utf-8")
    return runpy.run_path(str(file))


async def test_the_documented_order_is_confirmed_if_it_is_committed_and_else_never_was(
    page: dict[str, Any], settings: MakeSettings, database: Database, database_url: str
) -> None:
    place_order = page["place_order"]
    async with database.engine.begin() as connection:
        await connection.run_sync(page["Base"].metadata.create_all)
    async with App(page["registry"], settings(database_url=database_url)) as app:
        set_default_app(app)
        try:
            async with AsyncSession(database.engine) as session:
                await place_order(session, "ada@example.com")
                await session.rollback()
            assert await rows(database) == 0
            async with AsyncSession(database.engine) as session:
                enqueued = await place_order(session, "bob@example.com")
                await session.commit()
            async with Worker(app):
                assert re.fullmatch(r"order \d is confirmed", await enqueued.wait(WAIT_S))
        finally:
            set_default_app(None)
