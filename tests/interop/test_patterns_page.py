"""The examples of docs/patterns.md are true: they run one after another, and a worker ends their jobs."""

from __future__ import annotations

import ast
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import CodeType, FunctionType
from typing import cast

import pytest

from jobqueue import App, Enqueued, Handler, Registry, Settings, set_default_app
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, serving
from tests.support.eventually import eventually

PAGE = Path(__file__).parents[2] / "docs" / "patterns.md"


class Reader:
    """Somebody who types the page's blocks, one after another, into one program."""

    def __init__(self, registry: Registry) -> None:
        self._registry = registry
        self._known: dict[str, object] = {"__name__": PAGE.stem}

    async def type(self, block: CodeType) -> None:
        ended = FunctionType(block, self._known)()
        if inspect.isawaitable(ended):
            await ended
        for one in self._known.values():
            if isinstance(one, Handler) and self._registry.find(cast(Handler[object], one).name) is None:
                self._registry.add(cast(Handler[object], one))

    def job(self, name: str) -> Enqueued:
        found = self._known[name]
        assert isinstance(found, Enqueued)
        return found


def blocks() -> list[CodeType]:
    found = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    return [compile(block, PAGE.name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT) for block in found]


@pytest.fixture
def local(settings: MakeSettings) -> Iterator[Settings]:
    """Settings of an app that the module-level functions may use; they forget it afterwards."""
    yield settings()
    set_default_app(None)


async def test_the_examples_of_the_page_run_and_a_worker_ends_their_jobs(local: Settings) -> None:
    *before, once_it_is_printed = blocks()
    async with App(Registry(), local) as app:
        set_default_app(app)
        reader = Reader(app.registry)
        for block in before:
            await reader.type(block)
        async with serving(app):
            label = reader.job("label")
            await eventually(lambda: is_active(app, label))
            await reader.type(once_it_is_printed)

            assert await label.wait(WAIT_S) == {"pages": 1}
            assert await reader.job("newer").wait(WAIT_S) is None
            older = await reader.job("older").wait(WAIT_S)
            assert older == {"superseded": True, "by": reader.job("newer").job_id}


async def is_active(app: App, job: Enqueued) -> bool:
    return await app.queue().state(job.job_id) == "active"
