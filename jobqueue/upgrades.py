"""Upgrades: the database's migrations, of every package a branch. Apart, since a worker has no need of Alembic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.engine import Dialect

from jobqueue import migrations
from jobqueue.database import Database, address_of, open_database, parse_database_url
from jobqueue.errors import DatabaseUnavailable

MIGRATION_LOCK = 0x6A6F6271  # "jobq": the number of PostgreSQL's advisory lock around an upgrade


async def upgrade(database_url: str, version_locations: Sequence[Path]) -> tuple[str, ...]:
    """Bring every branch of migrations in `version_locations` (folders) to its newest revision.

    Returns the revisions that the database then has. Raises: SettingsError, DatabaseUnavailable.
    Concurrency: any number of processes may call it at once; one does the work, in one transaction, and the
    others wait for it.
    """
    config = _alembic_config(version_locations)

    def run(connection: Connection) -> tuple[str, ...]:
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "heads")
        except CommandError as error:
            address = address_of(parse_database_url(database_url))
            raise DatabaseUnavailable(address, f"its tables are of a version not known here: {error}") from error
        return _heads(connection)

    async with open_database(database_url) as database, database.transaction() as session:
        await session.execute(text(_lock_statement(database.engine.dialect)))
        return await (await session.connection()).run_sync(run)


async def pending(database: Database, version_locations: Sequence[Path]) -> tuple[str, ...]:
    """The newest revisions that the database does not have; empty where it is up to date.

    Raises: DatabaseUnavailable.
    """
    newest = ScriptDirectory.from_config(_alembic_config(version_locations)).get_heads()
    async with database.transaction() as session:
        present = await (await session.connection()).run_sync(_heads)
    return tuple(sorted(set(newest) - set(present)))


def _heads(connection: Connection) -> tuple[str, ...]:
    return tuple(sorted(MigrationContext.configure(connection).get_current_heads()))


def _alembic_config(version_locations: Sequence[Path]) -> Config:
    locations = "\n".join(str(location) for location in version_locations)
    config = Config()
    # "%" starts an interpolation in Alembic's configuration, so that a folder named "50%" needs it doubled.
    config.set_main_option("script_location", str(migrations.FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "newline")
    config.set_main_option("version_locations", locations.replace("%", "%%"))
    return config


def _lock_statement(dialect: Dialect) -> str:
    """What makes a second upgrade wait: both databases let go of it when the transaction ends."""
    if dialect.name == "sqlite":
        return "BEGIN IMMEDIATE"
    return f"SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"
