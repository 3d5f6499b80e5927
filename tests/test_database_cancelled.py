"""Database work that is cancelled: a connection of SQLite is a thread, and none may outlive its database."""

from __future__ import annotations

import asyncio
import sys
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from sqlalchemy import text

from jobqueue.database import Database, open_database

TURNS = 30
"""Within so many turns of the loop a first statement has its connection."""
COUNTING = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000) SELECT count(*) FROM n"


@pytest.fixture
def stray_errors(monkeypatch: pytest.MonkeyPatch) -> list[BaseException | None]:
    """What threads and finalizers raised, where nobody could catch it."""
    seen: list[BaseException | None] = []

    def note(happened: threading.ExceptHookArgs | sys.UnraisableHookArgs) -> None:
        seen.append(happened.exc_value)

    monkeypatch.setattr(threading, "excepthook", note)
    monkeypatch.setattr(sys, "unraisablehook", note)
    return seen


@pytest.mark.parametrize("turns", range(TURNS))
def test_a_task_that_is_cancelled_while_it_connects_leaves_no_thread(
    tmp_path: Path, stray_errors: list[BaseException | None], turns: int
) -> None:
    """Such a thread answered a loop that was closed meanwhile, which failed whatever test ran by then."""

    async def cancel_at_once(database: Database) -> None:
        pinging = asyncio.create_task(database.ping())
        await _turns(turns)
        pinging.cancel()
        await asyncio.gather(pinging, return_exceptions=True)

    _run_with_a_database(tmp_path, cancel_at_once)

    assert not _connections_at_work()
    assert not stray_errors


@pytest.mark.parametrize("turns", [0, 5, 20, 30])
def test_a_cancelled_task_that_nobody_waits_for_leaves_no_thread(
    tmp_path: Path, stray_errors: list[BaseException | None], turns: int
) -> None:
    async def cancel_and_go(database: Database) -> None:
        pinging = asyncio.create_task(database.ping())
        await _turns(turns)
        pinging.cancel()

    _run_with_a_database(tmp_path, cancel_and_go)

    assert not _connections_at_work()
    assert not stray_errors


@pytest.mark.parametrize("cancelled", [1, 2])
def test_a_statement_that_is_cancelled_leaves_no_thread(
    tmp_path: Path, stray_errors: list[BaseException | None], cancelled: int
) -> None:
    """Cancelled twice, SQLAlchemy tells the connection to stop and does not wait for it."""

    async def cancel_a_statement(database: Database) -> None:
        await database.ping()
        counting = asyncio.create_task(_count(database))
        await _turns(TURNS)
        for _ in range(cancelled):
            counting.cancel()
            await _turns(1)
        await asyncio.gather(counting, return_exceptions=True)

    _run_with_a_database(tmp_path, cancel_a_statement)

    assert not _connections_at_work()
    assert not stray_errors


def test_a_task_outlives_the_database_it_works_with_and_is_not_left_waiting(tmp_path: Path) -> None:
    async def scenario() -> None:
        # given
        async with open_database(f"sqlite:///{tmp_path}/jobs.db") as database:
            counting = asyncio.create_task(_count(database))
            await _turns(TURNS)
            # when
            counting.cancel()

        # then
        _, waiting = await asyncio.wait([counting], timeout=10)
        assert not waiting

    asyncio.run(scenario())


async def _count(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text(COUNTING))


async def _turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)  # one turn of the loop


def _run_with_a_database(folder: Path, act: Callable[[Database], Awaitable[None]]) -> None:
    """On a loop that ends with it."""

    async def scenario() -> None:
        async with open_database(f"sqlite:///{folder}/jobs.db") as database:
            await act(database)

    asyncio.run(scenario())


def _connections_at_work() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if "_connection_worker_thread" in thread.name]
