"""Cron: the rows that drive the schedulers, which of them were seeded, and in which queues schedulers stand."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from jobqueue.database import UtcDateTime

revision = "cron_0001"
down_revision = None
branch_labels = ("cron",)
depends_on = None


def upgrade() -> None:
    op.create_table(
        "cron_job",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("job_id", sa.String(200), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("pattern", sa.String(500), nullable=False),
        sa.Column("timezone", sa.String(200), server_default="UTC", nullable=False),
        sa.Column("handler", sa.String(200), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("priority", sa.Integer(), server_default=sa.text("0"), nullable=False),
        sa.Column("enabled", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("max_attempts", sa.Integer(), server_default=sa.text("3"), nullable=False),
        sa.Column("backoff_ms", sa.BigInteger(), server_default=sa.text("5000"), nullable=False),
        sa.Column("overlap", sa.String(10), server_default="skip", nullable=False),
        sa.Column("misfire", sa.String(10), server_default="run_once", nullable=False),
        sa.Column("source", sa.String(10), server_default="admin", nullable=False),
        sa.Column("created_by", sa.String(200), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("updated_at", UtcDateTime(), nullable=False),
        sa.Column("last_run_at", UtcDateTime(), nullable=True),
        sa.Column("last_status", sa.String(20), nullable=True),
        sa.Column("last_job_id", sa.String(500), nullable=True),
        sa.Column("last_completed_at", UtcDateTime(), nullable=True),
        sa.CheckConstraint("overlap IN ('skip', 'queue', 'allow')", name="ck_cron_job_overlap"),
        sa.CheckConstraint("misfire IN ('run_once', 'skip')", name="ck_cron_job_misfire"),
        sa.CheckConstraint("source IN ('admin', 'code')", name="ck_cron_job_source"),
        sa.CheckConstraint("max_attempts >= 1", name="ck_cron_job_max_attempts"),
        sa.PrimaryKeyConstraint("id", name="pk_cron_job"),
        sa.UniqueConstraint("job_id", name="uq_cron_job_job_id"),
        sa.UniqueConstraint("name", name="uq_cron_job_name"),
    )
    op.create_table(
        "cron_seed",
        sa.Column("handler", sa.String(200), nullable=False),
        sa.Column("seeded_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("handler", name="pk_cron_seed"),
    )
    op.create_table(
        "cron_queue",
        sa.Column("name", sa.String(200), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_cron_queue"),
    )


def downgrade() -> None:
    op.drop_table("cron_queue")
    op.drop_table("cron_seed")
    op.drop_table("cron_job")
