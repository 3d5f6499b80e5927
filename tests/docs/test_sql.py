"""The SQL of the pages runs on PostgreSQL, and does what it is for."""

from __future__ import annotations

from collections.abc import AsyncGenerator

import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from jobqueue.cli.environment import MIGRATIONS
from jobqueue.database import open_database
from jobqueue.upgrades import upgrade
from tests.docs.pages import ROOT, Block, all_blocks

BLOCKS = [block for block in all_blocks() if block.language == "sql"]
OUT_OF_REACH = """
SELECT relname FROM pg_class
WHERE relnamespace = 'public'::regnamespace AND relname NOT LIKE 'service\\_%'
  AND CASE relkind
    WHEN 'r' THEN NOT has_table_privilege('jobqueue', oid, 'SELECT')
    WHEN 'S' THEN NOT has_sequence_privilege('jobqueue', oid, 'USAGE')
  END
"""


@pytest.fixture
async def connection(postgres_url: str) -> AsyncGenerator[AsyncConnection]:
    """In a transaction that is rolled back, on a database with all tables and a user who may do nothing yet."""
    await upgrade(postgres_url, MIGRATIONS)
    async with open_database(postgres_url) as database, database.engine.connect() as connection:
        await connection.execute(text("CREATE ROLE jobqueue"))
        yield connection


async def run(block: Block, connection: AsyncConnection) -> None:
    for statement in block.source.split(";\n"):
        if statement.strip():
            await connection.execute(text(statement))


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block.place)
async def test_the_sql_of_a_block_runs(block: Block, connection: AsyncConnection) -> None:
    await run(block, connection)


async def test_the_grants_of_the_page_leave_no_table_and_no_sequence_out_of_reach(connection: AsyncConnection) -> None:
    """The sequence of the outbox was missing: a service with these grants could write no row there."""
    (grants,) = (block for block in BLOCKS if block.page == ROOT / "docs" / "security.md")
    await run(grants, connection)
    assert (await connection.scalars(text(OUT_OF_REACH))).all() == []
