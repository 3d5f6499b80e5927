"""Migrations: the history of the handlers' tables, one branch per group of tables."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
