"""Alembic runs this file: it carries the migrations out on the connection that `jobqueue.database` opened."""

from __future__ import annotations

from alembic import context

context.configure(connection=context.config.attributes["connection"])
with context.begin_transaction():
    context.run_migrations()
