"""Forking: a `jobqueue` that costs a test some milliseconds, where the real one imports for most of a second.

Each is a process of its own all the same, forked from one that has imported everything.
"""

from __future__ import annotations

import signal
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from tests.support.processes import end, spawn, wait_until_up

FORKED: Final = Path(__file__).with_name("forked")
ROOT: Final = Path(__file__).parents[2]


@contextmanager
def forked_jobqueue(folder: Path) -> Generator[Path]:
    """The program to run in place of `jobqueue`, until the block ends."""
    socket, log = folder / "socket", folder / "log"
    process = spawn([sys.executable, "-P", str(FORKED / "server.py"), str(socket)], cwd=ROOT, log=log)
    try:
        wait_until_up(process, socket.exists, log)
        client = (FORKED / "client.py").read_text(encoding="utf-8")
        program(folder / "jobqueue", f"#!{sys.executable} -IS\n{client}")
        yield folder / "jobqueue"
    finally:
        end(process, signal.SIGTERM)


def program(path: Path, text: str) -> None:
    """Write one that can be run."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    path.chmod(0o755)
