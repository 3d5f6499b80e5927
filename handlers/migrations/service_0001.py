"""Service: users, profiles, sessions, archives and files."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from jobqueue.database import UtcDateTime

revision = "service_0001"
down_revision = None
branch_labels = ("service",)
depends_on = None

_TABLES = ("file", "archive_user", "archive", "refresh_token", "session", "profile", "user")


def upgrade() -> None:
    op.create_table(
        "service_user",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("email", sa.String(200), nullable=False),
        sa.Column("email_verified_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_service_user"),
        sa.UniqueConstraint("email", name="uq_service_user_email"),
    )
    op.create_table(
        "service_profile",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("url", sa.String(2048), nullable=False),
        sa.Column("verified_at", UtcDateTime(), nullable=True),
        sa.Column("refusal", sa.String(200), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_service_profile"),
        sa.UniqueConstraint("user_id", "url", name="uq_service_profile_user_id_url"),
        _reference("service_profile", "user_id", "service_user"),
    )
    _create_sessions()
    _create_archives_and_files()


def _create_sessions() -> None:
    op.create_table(
        "service_session",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.Column("data", sa.JSON(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_service_session"),
        _reference("service_session", "user_id", "service_user"),
    )
    op.create_index("ix_service_session_user_id", "service_session", ["user_id"])
    op.create_index("ix_service_session_expires_at", "service_session", ["expires_at"])
    op.create_index("ix_service_session_revoked_at", "service_session", ["revoked_at"])
    op.create_table(
        "service_refresh_token",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("session_id", sa.String(36), nullable=False),
        sa.Column("token_sha256", sa.String(64), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_service_refresh_token"),
        sa.UniqueConstraint("token_sha256", name="uq_service_refresh_token_token_sha256"),
        _reference("service_refresh_token", "session_id", "service_session"),
    )
    op.create_index("ix_service_refresh_token_session_id", "service_refresh_token", ["session_id"])


def _create_archives_and_files() -> None:
    op.create_table(
        "service_archive",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_service_archive"),
    )
    op.create_table(
        "service_archive_user",
        sa.Column("archive_id", sa.String(36), nullable=False),
        sa.Column("user_id", sa.String(36), nullable=False),
        sa.PrimaryKeyConstraint("archive_id", "user_id", name="pk_service_archive_user"),
        _reference("service_archive_user", "archive_id", "service_archive"),
        _reference("service_archive_user", "user_id", "service_user"),
    )
    op.create_index("ix_service_archive_user_user_id", "service_archive_user", ["user_id"])
    op.create_table(
        "service_file",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("key", sa.String(512), nullable=False),
        sa.Column("name", sa.String(200), nullable=False),
        sa.Column("content_type", sa.String(200), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("placeholder", sa.Text(), nullable=True),
        sa.Column("archive_id", sa.String(36), nullable=True),
        sa.Column("variant_of", sa.String(36), nullable=True),
        sa.Column("variant", sa.String(200), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name="pk_service_file"),
        sa.UniqueConstraint("key", name="uq_service_file_key"),
        sa.UniqueConstraint("variant_of", "variant", name="uq_service_file_variant_of_variant"),
        _reference("service_file", "archive_id", "service_archive"),
        _reference("service_file", "variant_of", "service_file"),
    )
    op.create_index("ix_service_file_archive_id", "service_file", ["archive_id"])


def _reference(table: str, column: str, referred: str) -> sa.ForeignKeyConstraint:
    """A row goes with the one that it belongs to."""
    name = f"fk_{table}_{column}_{referred}"
    return sa.ForeignKeyConstraint([column], [f"{referred}.id"], name=name, ondelete="CASCADE")


def downgrade() -> None:
    for table in _TABLES:
        op.drop_table(f"service_{table}")
