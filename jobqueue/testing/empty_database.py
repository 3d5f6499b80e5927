"""Empty database: an SQLite file with the tables of cron jobs and the outbox, without the time that migrations take."""

from __future__ import annotations

import os
import sqlite3
from functools import cache
from pathlib import Path

from sqlalchemy import create_engine
from sqlalchemy.pool import StaticPool

from jobqueue.cron.table import CronJobRow
from jobqueue.outbox.table import OutboxRow


def write_empty_database(path: Path) -> str:
    """Write the file, for this user alone; its URL."""
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(_content())
    return f"sqlite+aiosqlite:///{path}"


@cache
def _content() -> bytes:
    """The file, made once for each process."""
    connection = sqlite3.connect(":memory:")
    try:
        engine = create_engine("sqlite://", creator=lambda: connection, poolclass=StaticPool)
        for table in (CronJobRow, OutboxRow):
            table.metadata.create_all(engine)
        return connection.serialize()
    finally:
        connection.close()
