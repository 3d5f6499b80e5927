"""Migrations: Alembic's environment, shared by the histories of every package."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
