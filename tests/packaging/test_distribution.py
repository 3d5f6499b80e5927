"""Wheel and sdist: everything that is needed is inside, and they say what pyproject.toml says."""

from __future__ import annotations

import re
import subprocess
import sys
import tarfile
import tomllib
import zipfile
from email import message_from_bytes
from email.message import Message
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from jobqueue import __version__
from tests.packaging.built import ROOT, build

PACKAGES = ("jobqueue", "handlers", "board")
PLUGIN = "pytest_jobqueue.py"
INFO = f"jobqueue-{__version__}.dist-info"


@pytest.fixture(scope="module")
def sdist(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build("sdist", tmp_path_factory.mktemp("sdist"))


@pytest.fixture(scope="module")
def unpacked(sdist: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder in which somebody has unpacked the sdist."""
    folder = tmp_path_factory.mktemp("unpacked")
    with tarfile.open(sdist) as archive:
        archive.extractall(folder, filter="data")
    return folder / f"jobqueue-{__version__}"


@pytest.fixture(scope="module")
def wheel(unpacked: Path, tmp_path_factory: pytest.TempPathFactory) -> zipfile.ZipFile:
    """Built from the sdist, as `python -m build` does it: so what is not in the one is not in the other."""
    return zipfile.ZipFile(build("wheel", tmp_path_factory.mktemp("wheel"), unpacked))


@pytest.fixture(scope="module")
def metadata(wheel: zipfile.ZipFile) -> Message:
    return message_from_bytes(wheel.read(f"{INFO}/METADATA"))


def project() -> dict[str, dict[str, list[str]]]:
    table: dict[str, dict[str, list[str]]] = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    return table


def test_the_wheel_has_every_file_of_the_three_packages(wheel: zipfile.ZipFile, unpacked: Path) -> None:
    """Code, Lua, templates, style sheets, scripts, migrations, and the marks that say that it is typed."""
    paths = [path for package in PACKAGES for path in (ROOT / package).rglob("*") if "__pycache__" not in path.parts]
    files = {PLUGIN, *(path.relative_to(ROOT).as_posix() for path in paths if path.is_file())}

    inside = {name for name in wheel.namelist() if not name.startswith(INFO)}

    assert inside == files
    assert [name for name in files if wheel.read(name) != (unpacked / name).read_bytes()] == []
    assert {f"{package}/py.typed" for package in PACKAGES} <= inside
    assert {Path(name).suffix for name in inside} >= {".py", ".lua", ".html", ".css", ".js", ".svg"}


def test_the_wheel_says_what_the_project_says(metadata: Message, wheel: zipfile.ZipFile) -> None:
    assert metadata["Name"] == "jobqueue"
    assert metadata["Version"] == __version__
    assert metadata["Requires-Python"] == ">=3.11"
    assert metadata["License-Expression"] == "MIT"
    assert "MIT License" in wheel.read(f"{INFO}/licenses/LICENSE").decode()
    assert "# jobqueue" in metadata.get_payload()
    assert wheel.read(f"{INFO}/entry_points.txt").decode().split() == [
        *("[console_scripts]", "jobqueue", "=", "jobqueue.cli:main"),
        *("[pytest11]", "jobqueue", "=", "pytest_jobqueue"),
    ]
    assert b"Root-Is-Purelib: true\nTag: py3-none-any" in wheel.read(f"{INFO}/WHEEL")


def test_the_wheel_asks_for_bullmq_exactly_and_knows_each_extra(metadata: Message) -> None:
    requirements = [Requirement(line) for line in metadata.get_all("Requires-Dist", [])]

    bullmq = next(one for one in requirements if one.name == "bullmq")
    extras = set(metadata.get_all("Provides-Extra", []))

    assert re.fullmatch(r"==[\d.]+", str(bullmq.specifier))
    assert bullmq.marker is None
    assert extras == set(project()["optional-dependencies"])
    assert {"embedded", "postgres"} <= extras


def test_no_file_says_where_packages_come_from(metadata: Message) -> None:
    assert [line for line in metadata.get_all("Requires-Dist", []) if "://" in line or "@" in line] == []


def test_the_sdist_has_what_is_needed_to_work_on_it(unpacked: Path) -> None:
    needed = (
        *("pyproject.toml", "README.md", "LICENSE", "CHANGELOG.md", "ARCHITECTURE.md"),
        *("docker-compose.yml", "Dockerfile", ".dockerignore", ".ci/run"),
        *("docs/board.md", "scripts/test", "tests/conftest.py"),
    )

    assert [name for name in needed if not (unpacked / name).is_file()] == []
    assert [path for path in unpacked.rglob("*") if path.name in ("node_modules", ".venv", ".jobqueue")] == []
    assert list(unpacked.rglob("*.db")) == []


def test_the_version_stands_in_one_place() -> None:
    """Metadata, `--version`, the OpenAPI document, the heartbeat and a worker's presence read it there."""
    said = re.compile(rf"""["']{re.escape(__version__)}["']""")
    files = [path for package in PACKAGES for path in (ROOT / package).rglob("*.py")]

    saying = [path.relative_to(ROOT).as_posix() for path in files if said.search(path.read_text("utf-8"))]

    assert saying == ["jobqueue/_version.py"]


def test_importing_what_a_service_imports_warns_of_nothing(tmp_path: Path) -> None:
    code = "import jobqueue, jobqueue.asgi, board, handlers; print(jobqueue.__version__)"
    command = [sys.executable, "-W", "error", "-c", code]

    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (run.returncode, run.stdout.strip(), run.stderr) == (0, __version__, "")
