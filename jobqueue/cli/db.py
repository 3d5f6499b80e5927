"""`jobqueue db`: bring the database's tables up to date."""

from __future__ import annotations

import typer

from jobqueue.cli.console import run, say
from jobqueue.cli.environment import MIGRATIONS, load_settings
from jobqueue.database import address_of, parse_database_url
from jobqueue.upgrades import upgrade

EXAMPLES = """Examples:

jobqueue db upgrade

DATABASE_URL=postgresql+asyncpg://jobs@db/jobs jobqueue db upgrade
"""


def add_to(app: typer.Typer) -> None:
    db = typer.Typer(help="Look after the database.", no_args_is_help=True)
    db.callback()(_group)
    db.command("upgrade", epilog=EXAMPLES)(upgrade_database)
    app.add_typer(db, name="db")


def _group() -> None:
    """Look after the database of DATABASE_URL."""


def upgrade_database() -> None:
    """Make or upgrade the tables. Twice is fine; any number of machines may do it at once."""
    database_url = load_settings().database_url
    address = address_of(parse_database_url(database_url))
    revisions = run(upgrade(database_url, MIGRATIONS))
    say(f"{address} is up to date ({', '.join(revisions)})")
