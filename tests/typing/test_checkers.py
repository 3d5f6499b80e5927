"""A service that has the wheel and nothing else of ours is checked by mypy --strict and by pyright strict.

Each checker runs once, over what it must take and what it must refuse, line by line.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TypeAlias
from venv import EnvBuilder

import pytest

import jobqueue
from jobqueue import testing
from tests.packaging.built import build

pytestmark = pytest.mark.timeout(180)  # a checker that has nothing in its cache takes its time

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
MUST_PASS = sorted(HERE.glob("must_pass*.py"))
MUST_FAIL = sorted(HERE.glob("must_fail*.py"))

Lines: TypeAlias = Mapping[str, set[int]]


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of its own with the files of a service, and an environment with the wheel beside what it depends on."""
    folder = tmp_path_factory.mktemp("service")
    environment = folder / ".venv"
    EnvBuilder(symlinks=True).create(environment)
    (installed,) = environment.glob("lib/python*/site-packages")
    with zipfile.ZipFile(build("wheel", tmp_path_factory.mktemp("wheel"))) as wheel:
        wheel.extractall(installed)
    # What it depends on is in the environment of the tests. That one's own .pth file, which leads to the working tree,
    # is not followed from here.
    others = Path(pytest.__file__).parents[1]
    (installed / "others.pth").write_text(f"{others}\n", "utf-8")
    for file in (*MUST_PASS, *MUST_FAIL):
        shutil.copy(file, folder)
    return folder


def refused_by_mypy(service: Path) -> Lines:
    """Concurrency: one at a time, since a cache, whose SQLite does not wait for long, is kept from run to run."""
    options = ["--strict", "--no-error-summary", "--output", "json", "--python-executable", ".venv/bin/python"]
    cache = PROJECT / ".mypy_cache" / "service"
    command = [sys.executable, "-m", "mypy", *options, "--cache-dir", str(cache), "."]
    one_at_a_time = ["flock", str(PROJECT / "pyproject.toml")]
    run = subprocess.run([*one_at_a_time, *command], cwd=service, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stdout + run.stderr
    problems = [json.loads(line) for line in run.stdout.splitlines()]
    return _by_file((one["file"], one["line"]) for one in problems if one["severity"] == "error")


def refused_by_pyright(service: Path) -> Lines:
    settings = {"include": ["."], "typeCheckingMode": "strict", "venvPath": ".", "venv": ".venv"}
    (service / "pyrightconfig.json").write_text(json.dumps(settings), "utf-8")
    command = [sys.executable, "-m", "pyright", "--outputjson"]
    run = subprocess.run(command, cwd=service, capture_output=True, text=True, check=False)
    report = json.loads(run.stdout)
    assert report["summary"]["filesAnalyzed"] == len(MUST_PASS) + len(MUST_FAIL)
    problems = [one for one in report["generalDiagnostics"] if one["severity"] == "error"]
    return _by_file((one["file"], one["range"]["start"]["line"] + 1) for one in problems)


def _by_file(places: Iterable[tuple[str, int]]) -> Lines:
    lines: defaultdict[str, set[int]] = defaultdict(set)
    for file, line in places:
        lines[Path(file).name].add(line)
    return dict(lines)


def to_be_refused() -> Lines:
    return {file.name: marked_lines(file) for file in MUST_FAIL}


def marked_lines(file: Path) -> set[int]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, start=1) if line.endswith("# refused")}


def test_mypy_refuses_exactly_the_marked_lines(service: Path) -> None:
    assert refused_by_mypy(service) == to_be_refused()


def test_pyright_refuses_exactly_the_marked_lines(service: Path) -> None:
    assert refused_by_pyright(service) == to_be_refused()


def test_there_are_lines_to_refuse() -> None:
    assert all(len(lines) > 5 for lines in to_be_refused().values())
    assert [file.name for file in MUST_PASS if marked_lines(file)] == []


def test_each_public_name_is_used() -> None:
    """More than once: as it is imported, and where it is used."""
    text = "\n".join(file.read_text("utf-8") for file in MUST_PASS)

    names = (*jobqueue.__all__, *testing.__all__)
    unused = [name for name in names if len(re.findall(rf"\b{name}\b", text)) < 2]

    assert unused == []
