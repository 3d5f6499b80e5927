"""Outbox: jobs on their way to Redis; on PostgreSQL a commit with new rows tells whoever listens."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from jobqueue.database import UtcDateTime

revision = "outbox_0001"
down_revision = None
branch_labels = ("outbox",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "job_outbox",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), autoincrement=True, nullable=False),
        sa.Column("key", sa.String(36), nullable=False),
        sa.Column("prefix", sa.String(200), nullable=False),
        sa.Column("queue", sa.String(200), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("job_id", sa.String(255), nullable=False),
        sa.Column("data", sa.Text(), nullable=False),
        sa.Column("job", sa.Text(), nullable=False),
        sa.Column("origin", sa.String(20), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("next_try_at", UtcDateTime(), nullable=True),
        sa.Column("last_error", sa.String(500), nullable=True),
        sa.Column("set_aside_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("origin IN ('transaction', 'overflow')", name="ck_job_outbox_origin"),
        sa.PrimaryKeyConstraint("id", name="pk_job_outbox"),
        sqlite_autoincrement=True,
    )
    op.create_index(
        "ix_job_outbox_prefix_queue_set_aside_at_id", "job_outbox", ["prefix", "queue", "set_aside_at", "id"]
    )
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE FUNCTION job_outbox_notify() RETURNS trigger LANGUAGE plpgsql AS "
            "$$ BEGIN PERFORM pg_notify('job_outbox', ''); RETURN NULL; END $$"
        )
        op.execute(
            "CREATE TRIGGER job_outbox_notify AFTER INSERT ON job_outbox "
            "FOR EACH STATEMENT EXECUTE FUNCTION job_outbox_notify()"
        )


def downgrade() -> None:
    op.drop_table("job_outbox")
    if op.get_bind().dialect.name == "postgresql":
        op.execute("DROP FUNCTION job_outbox_notify()")
