"""The code on docs/cron.md runs as it stands, one block after another."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import AsyncIterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import cast

import pytest

from jobqueue import App, Handler, Registry, set_default_app
from jobqueue.cron import CronJobs
from jobqueue.cron.migrations import FOLDER
from jobqueue.database import open_database
from jobqueue.upgrades import upgrade
from tests.conftest import MakeSettings
from tests.patterns.working import serving

PAGE = Path(__file__).parents[2] / "docs" / "cron.md"


def blocks() -> list[CodeType]:
    found = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [compile(block, PAGE.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT) for block in found]


@pytest.fixture
async def app(settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[App]:
    """The app behind the module-level functions, and an environment that says the same."""
    own = settings()
    monkeypatch.setenv("DATABASE_URL", own.database_url)
    await upgrade(own.database_url, [FOLDER])
    async with App(Registry(), own) as app:
        set_default_app(app)
        yield app
        set_default_app(None)


async def test_the_examples_of_the_page_run(app: App) -> None:
    # when
    known: dict[str, object] = {"__name__": PAGE.stem}
    async with serving(app):
        for block in blocks():
            ended = FunctionType(block, known)()
            if inspect.isawaitable(ended):
                await ended
            for one in known.values():
                if isinstance(one, Handler) and app.registry.find(cast(Handler[object], one).name) is None:
                    app.registry.add(cast(Handler[object], one))

    # then
    async with open_database(app.settings.database_url) as database:
        rows = await CronJobs(app, database).list()
    assert [(row.name, row.payload) for row in rows] == [
        ("clean up", {"days": 90}),
        ("clean up often", {"days": 365}),
        ("report", None),
    ]
