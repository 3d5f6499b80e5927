"""`jobqueue bench`, as a person runs it."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import psutil

from jobqueue.cli.console import INTERRUPTED, WRONG_USE
from tests.support.eventually import eventually

NODE_MODULES = Path(__file__).parents[1] / "interop" / "node_modules"
BENCH = (sys.executable, "-m", "jobqueue.cli", "bench", "--node-modules", str(NODE_MODULES))


@contextmanager
def benching(folder: Path, *words: str) -> Generator[subprocess.Popen[str]]:
    """The command in a folder of its own; gone with the block."""
    process = subprocess.Popen(
        [*BENCH, *words],
        cwd=folder,
        text=True,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_the_results_are_printed_and_written(tmp_path: Path) -> None:
    # when
    words = ("enqueue-bulk", "--jobs", "50", "--rounds", "2", "--peer", "jobqueue", "--peer", "node", "--out", "pages")
    done = subprocess.run([*BENCH, *words], cwd=tmp_path, capture_output=True, text=True, check=False)

    # then
    assert done.returncode == 0, done.stderr
    assert "| jobqueue |" in done.stdout
    assert "enqueue-bulk, round 2, BullMQ (Node): " in done.stderr
    assert {file.name for file in (tmp_path / "pages").iterdir()} == {"README.md", "bench.svg", "bench.json"}
    assert (
        f"jobqueue bench --node-modules {NODE_MODULES} enqueue-bulk" in (tmp_path / "pages" / "README.md").read_text()
    )


def test_the_pages_of_the_board_are_timed(tmp_path: Path) -> None:
    # when
    words = ("--board", "--jobs", "300", "--rounds", "2", "--out", "pages")
    done = subprocess.run([*BENCH, *words], cwd=tmp_path, capture_output=True, text=True, check=False)

    # then
    assert done.returncode == 0, done.stderr
    assert "| overview | " in done.stdout
    assert "1,200 jobs in one queue" in (tmp_path / "pages" / "board.md").read_text()


def test_the_results_are_printed_as_one_document(tmp_path: Path) -> None:
    # when
    words = ("enqueue-bulk", "--jobs", "50", "--rounds", "1", "--peer", "jobqueue", "--peer", "arq", "--json")
    done = subprocess.run([*BENCH, *words], cwd=tmp_path, capture_output=True, text=True, check=False)

    # then
    document = json.loads(done.stdout)
    assert [run["peer"] for run in document["runs"]] == ["jobqueue"]
    assert list(document["missing"]) == ["arq"]


def test_an_unknown_workload_is_refused_with_the_known_ones(tmp_path: Path) -> None:
    # when
    done = subprocess.run([*BENCH, "drain"], cwd=tmp_path, capture_output=True, text=True, check=False)

    # then
    assert done.returncode == WRONG_USE
    assert "no workload 'drain'" in done.stderr


async def test_ctrl_c_ends_the_children_and_keeps_what_was_measured(tmp_path: Path) -> None:
    # given a bench in its second round, which would take long
    words = ("enqueue-bulk", "--jobs", "50", "--rounds", "1000", "--peer", "jobqueue", "--out", "pages")
    with benching(tmp_path, *words) as process:
        assert process.stderr is not None
        assert "round 1, jobqueue" in process.stderr.readline()
        children = await eventually(lambda: psutil.Process(process.pid).children(recursive=True))

        # when
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=30)

        # then
        assert process.returncode == INTERRUPTED
        assert "| jobqueue |" in out
        assert "| jobqueue |" in (tmp_path / "pages" / "README.md").read_text(encoding="utf-8")
        await eventually(lambda: not any(child.is_running() for child in children))


async def test_a_bench_that_is_killed_leaves_nothing_behind(tmp_path: Path) -> None:
    # given a bench with a Redis and a program at work
    with benching(tmp_path, "enqueue-bulk", "--jobs", "50", "--rounds", "1000", "--peer", "jobqueue") as process:
        assert process.stderr is not None
        process.stderr.readline()
        children = await eventually(lambda: _family_of_three(process.pid))

        # when
        process.kill()

        # then
        await eventually(lambda: not any(child.is_running() for child in children))


def _family_of_three(pid: int) -> list[psutil.Process]:
    """The leash, its Redis and the program, once all are there."""
    children: list[psutil.Process] = psutil.Process(pid).children(recursive=True)
    return children if len(children) >= 3 else []
