"""Databases: what a program's tables stand in."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from tests.support.postgres_server import running_postgres


@contextmanager
def fresh_database(postgres: int) -> Generator[str | None]:
    """The URL of an empty PostgreSQL database for the block; None where SQLite will do."""
    if not postgres:
        yield None
        return
    with running_postgres() as server, server.fresh_database() as url:
        yield url
