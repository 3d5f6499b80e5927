"""Builds wheels and sdists with the build tool of pyproject.toml, in this environment."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Literal

ROOT = Path(__file__).parents[2]


def build(target: Literal["wheel", "sdist"], into: Path, source: Path = ROOT) -> Path:
    """The file that was built; `into` is empty before."""
    command = [sys.executable, "-m", "hatchling", "build", "--target", target, "--directory", str(into)]
    run = subprocess.run(command, cwd=source, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    (built,) = into.iterdir()
    return built
