"""Migrations: the history of the cron tables."""

from __future__ import annotations

from pathlib import Path

FOLDER = Path(__file__).parent
