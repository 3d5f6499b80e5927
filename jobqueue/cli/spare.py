"""Spare: a child that has imported all but the service's own code, and waits for the word to begin.

Most of what a start takes is importing this library, a web server and the like, which hardly ever change. So the next
child does it before it is needed. Where some of it has changed by then all the same (the library's own code is being
worked on, or was upgraded) it begins from nothing.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from jobqueue.cli import ROWS, main

EARLY: Final = ("bullmq", "aiosqlite")
"""What is imported only when a script or an engine is first used."""
SERVING: Final = ("uvicorn.lifespan.off", "uvicorn.loops.auto", "uvicorn.protocols.http.auto")
"""What a server imports only when it is made; a worker alone makes none."""


def stand_by(since_ns: int, words: Sequence[str]) -> None:
    """Import what these words need, wait for one byte from the parent, and be the command; where he ends first, end.

    Units: `since_ns` epoch nanoseconds, the time when the parent started this process.
    """
    for row in ROWS:
        if row.word == words[0]:
            importlib.import_module(row.module)
    for name in EARLY if words[0] == "worker" else (*EARLY, *SERVING):
        importlib.import_module(name)
    # A worker that has started looks at all that there is, once: so here it is put aside, while there is time.
    gc.collect()
    gc.freeze()
    if os.read(sys.stdin.fileno(), 1):
        if _has_changed(since_ns):
            options = sys.orig_argv[: sys.orig_argv.index("-m")]
            os.execv(sys.executable, [*options, "-m", "jobqueue.cli", *words])
        sys.argv = ["jobqueue", *words]
        main()


def _has_changed(since_ns: int) -> bool:
    """Whether a file that this process has imported has changed since then, or is gone."""
    files = [getattr(module, "__file__", None) for module in list(sys.modules.values())]
    try:
        # Not its time of modification: a file that is moved or copied to the place may bring an old one along.
        return any(Path(file).stat().st_ctime_ns > since_ns for file in files if file)
    except OSError:
        return True


if __name__ == "__main__":
    stand_by(int(sys.argv[1]), sys.argv[2:])
