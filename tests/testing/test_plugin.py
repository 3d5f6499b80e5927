"""The pytest plugin, in a project of its own, run by a real pytest."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_ROOT = Path(__file__).parents[2]
_TESTS = Path(__file__).with_name("project_tests.py").read_text()
_FAILED = """\
E       AssertionError: no job of sendMail with payload {"orderId":"8","placed_at":"2026-01-01T00:00:00Z"} is enqueued
E       enqueued:
E         sendMail 1 in 'shop', waiting: {"orderId":"7","placed_at":"2026-01-01T00:00:00Z"}
E       the nearest is sendMail 1, which differs:
E         payload.orderId: wanted "8", it has "7"
"""

_ON_ANYIO = """\
import pytest
from jobqueue import Registry, enqueue_job
from tests.testing.shop import send_mail


class TestShop:
    @pytest.fixture
    def jobqueue_registry(self):
        return Registry([send_mail])

    @pytest.mark.anyio
    async def test_drain(self, jobs):
        await enqueue_job("sendMail", {"orderId": "7"})
        assert len((await jobs.drain()).completed) == 1


def test_sync(jobs): ...


@pytest.mark.anyio
async def test_no_registry(jobs): ...
"""


def _pytest(project: Path, *words: str, plugins: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    """A run in which nothing is loaded but these plugins and ours, whatever is installed here."""
    named = [word for plugin in (*plugins, "pytest_jobqueue") for word in ("-p", plugin)]
    environment = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1", "PYTHONPATH": str(_ROOT)}
    environment.pop("PYTEST_ADDOPTS", None)
    command = [sys.executable, "-m", "pytest", *named, "-p", "no:cacheprovider", "-W", "error", *words]
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


def test_a_run_that_asks_for_no_fixture_loads_nothing_of_jobqueue() -> None:
    look = "import sys, pytest_jobqueue; print([name for name in sys.modules if name.split('.')[0] == 'jobqueue'])"
    run = subprocess.run([sys.executable, "-c", look], cwd=_ROOT, capture_output=True, text=True, check=True)
    assert run.stdout == "[]\n"


@pytest.mark.timeout(120)  # a process that imports everything, on a machine that may be busy
def test_the_fixtures_work_under_pytest_asyncio_and_xdist(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
    )
    (tmp_path / "test_shop.py").write_text(_TESTS)

    run = _pytest(tmp_path, "-n", "1", plugins=("pytest_asyncio.plugin", "xdist.plugin"))

    assert "2 failed, 2 passed" in run.stdout, run.stdout + run.stderr
    assert _FAILED in run.stdout
    assert "DrainTimeout: not drained after 0." in run.stdout
    assert "hang 1 in 'shop', active: null" in run.stdout


@pytest.mark.timeout(120)  # a process that imports everything, on a machine that may be busy
def test_the_fixtures_work_under_anyio_and_say_what_is_missing(tmp_path: Path) -> None:
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    (tmp_path / "conftest.py").write_text(
        "import pytest\n\n\n@pytest.fixture\ndef anyio_backend():\n    return 'asyncio'\n"
    )
    (tmp_path / "test_shop.py").write_text(_ON_ANYIO)

    run = _pytest(tmp_path, plugins=("anyio.pytest_plugin",))

    assert "1 passed, 2 errors" in run.stdout, run.stdout + run.stderr
    assert "the fixture `jobs` is for async tests: mark the test with pytest.mark.anyio, or install" in run.stdout
    assert "the fixture `jobs` needs to know the registry: set jobqueue_registry = shop.jobs:registry" in run.stdout
