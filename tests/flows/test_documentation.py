"""The code in docs/flows.md does what the page says."""

from __future__ import annotations

import re
import runpy
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from jobqueue import App, Handler, Registry, set_default_app
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, serving

PAGE = Path(__file__).parents[2] / "docs" / "flows.md"


@pytest.fixture
def page(tmp_path: Path) -> dict[str, Any]:
    """The names that the page's code defines."""
    file = tmp_path / "flows_page.py"
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    file.write_text("\n".join(blocks), encoding="utf-8")
    return runpy.run_path(str(file))


async def test_the_documented_flow_publishes_its_gallery(page: dict[str, Any], settings: MakeSettings) -> None:
    publish: Callable[[str], Awaitable[object]] = page["publish"]

    async with App(page["registry"], settings()) as app, serving(app):
        set_default_app(app)
        try:
            published = await publish("cat")
        finally:
            set_default_app(None)

    assert published == {
        "title": "cat",
        "files": ["photo-320.jpg", "photo-640.jpg", "photo-1280.jpg"],
        "missing": 0,
    }


async def test_the_documented_job_waits_for_the_children_that_it_adds(
    page: dict[str, Any], settings: MakeSettings
) -> None:
    album: Handler[list[int]] = page["album"]

    async with App(Registry([album, page["resize"]]), settings()) as app, serving(app):
        result = await app.enqueue_job(album, [1, 2])

        assert await result.wait(WAIT_S) == ["photo-1.jpg", "photo-2.jpg"]
