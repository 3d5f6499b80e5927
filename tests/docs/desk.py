"""Desk: what lies before somebody who tries the examples of one page."""

from __future__ import annotations

import importlib
import os
import re
import sqlite3
import sys
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Final

from jobqueue import Settings
from tests.docs.pages import Block, given_for
from tests.support.redis_server import RedisServer

BIN: Final = Path(sys.executable).parent
DATABASE: Final = "jobqueue.db"
GIVEN: Final = Path(__file__).with_name("given")
_SERVED_AT: Final = re.compile(r"(?<=localhost:|127\.0\.0\.1:)8000\b|(?<=--port[ =])8000\b")
_WAIT: Final = re.compile(r"--wait \d+\b")
_REDIS_AT: Final = re.compile(r"(?<=redis://localhost:|redis://127\.0\.0\.1:)6379\b")


@dataclass(frozen=True, slots=True)
class Desk:
    """A folder of the page's own, an empty Redis, a database with all tables, and what says where they are."""

    page: Path
    folder: Path
    redis: RedisServer
    port: int
    environment: Mapping[str, str]

    @property
    def settings(self) -> Settings:
        return Settings.load()

    @property
    def given(self) -> ModuleType | None:
        return given_of(self.page)

    @property
    def failing(self) -> frozenset[str]:
        """The handlers of which a job may fail while the page runs."""
        return frozenset(getattr(self.given, "FAILS", ()))

    def lay_out(self) -> None:
        """Put what the page takes for granted into its folder and its database."""
        files: Mapping[str, str] = getattr(self.given, "FILES", {})
        for path, text in files.items():
            self._write(path, text)
        rows: tuple[str, ...] = getattr(self.given, "ROWS", ())
        with closing(sqlite3.connect(self.folder / DATABASE)) as database, database:
            for statement in rows:
                database.execute(statement)

    def here(self, source: str) -> str:
        """What a page says of port 8000, and of Redis at 6379, is true here of others; a wait is longer."""
        moved = _REDIS_AT.sub(str(self.redis.port), _SERVED_AT.sub(str(self.port), source))
        return _WAIT.sub("--wait 50", moved)

    def write(self, block: Block) -> None:
        """Write a block that begins with a path to that file."""
        if block.file is not None:
            self._write(block.file, self.here(block.source))

    def _write(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")


def given_of(page: Path) -> ModuleType | None:
    """What the page takes for granted."""
    module = given_for(page)
    if not (GIVEN / f"{module}.py").exists():
        return None
    return importlib.import_module(f"tests.docs.given.{module}")


def settings_of(page: Path, folder: Path) -> dict[str, str]:
    """The settings that the page takes for granted."""
    settings: Mapping[str, str] = getattr(given_of(page), "SETTINGS", {})
    return {name: value.replace("{folder}", str(folder)) for name, value in settings.items()}


def environment_of(settings: Mapping[str, str], port: int, programs: Path) -> dict[str, str]:
    """All that a command of the page finds in its environment. `programs` come before those of the machine."""
    kept = {name: os.environ[name] for name in ("HOME", "LANG") if name in os.environ}
    path = os.pathsep.join([str(programs), str(BIN), os.environ["PATH"]])
    return {**kept, "PATH": path, "PORT": str(port), "UVICORN_PORT": str(port), "COLUMNS": "200", **settings}
