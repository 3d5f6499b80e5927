"""Enqueue by handle is checked by the type checkers: mypy --strict and pyright strict, on real files."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.timeout(180)  # a checker that has nothing in its cache takes its time

HERE = Path(__file__).parent
PROJECT = HERE.parents[1]
MUST_PASS = HERE / "must_pass.py"
MUST_FAIL = HERE / "must_fail.py"


def refused_by_mypy(file: Path) -> set[int]:
    """The lines that mypy --strict refuses, under the project's own settings. Concurrency: one at a time, since they
    share a cache, whose SQLite does not wait for long.
    """
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--output", "json", str(file)]
    one_at_a_time = ["flock", str(PROJECT / "pyproject.toml")]
    run = subprocess.run([*one_at_a_time, *command], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert run.returncode in (0, 1), run.stderr
    problems = [json.loads(line) for line in run.stdout.splitlines()]
    return {problem["line"] for problem in problems if problem["severity"] == "error"}


def refused_by_pyright(file: Path, tmp_path: Path) -> set[int]:
    """The lines that pyright refuses in its strict mode; of a copy, since the project's settings exclude the file."""
    shutil.copy(file, tmp_path)
    config = tmp_path / "pyrightconfig.json"
    settings = {
        "include": ["."],
        "extraPaths": [str(PROJECT)],
        "typeCheckingMode": "strict",
        "pythonVersion": "3.11",
        "venvPath": str(Path(sys.prefix).parent),
        "venv": Path(sys.prefix).name,
    }
    config.write_text(json.dumps(settings), encoding="utf-8")
    command = [sys.executable, "-m", "pyright", "--outputjson", "--project", str(config)]
    run = subprocess.run(command, cwd=PROJECT, capture_output=True, text=True, check=False)
    report = json.loads(run.stdout)
    assert report["summary"]["filesAnalyzed"] == 1
    problems = report["generalDiagnostics"]
    return {problem["range"]["start"]["line"] + 1 for problem in problems if problem["severity"] == "error"}


def marked_lines(file: Path) -> set[int]:
    lines = file.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, start=1) if line.endswith("# refused")}


@pytest.mark.parametrize("file", [MUST_PASS, MUST_FAIL], ids=["must_pass", "must_fail"])
def test_mypy_refuses_exactly_the_marked_lines(file: Path) -> None:
    assert refused_by_mypy(file) == marked_lines(file)


@pytest.mark.parametrize("file", [MUST_PASS, MUST_FAIL], ids=["must_pass", "must_fail"])
def test_pyright_refuses_exactly_the_marked_lines(file: Path, tmp_path: Path) -> None:
    assert refused_by_pyright(file, tmp_path) == marked_lines(file)


def test_there_are_lines_to_refuse() -> None:
    assert len(marked_lines(MUST_FAIL)) > 20
    assert marked_lines(MUST_PASS) == set()
