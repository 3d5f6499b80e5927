"""Spare: a child that has imported all but the service's own code, and waits for the word to begin.

Most of what a start takes is importing this library, a web server and the like, none of which changes. So the next
child does it before it is needed.
"""

from __future__ import annotations

import gc
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Final

from jobqueue.cli import ROWS, main

EARLY: Final = ("bullmq", "aiosqlite")
"""What is imported only when a script or an engine is first used."""
SERVING: Final = ("uvicorn.lifespan.off", "uvicorn.loops.auto", "uvicorn.protocols.http.auto")
"""What a server imports only when it is made; a worker alone makes none."""


def stand_by(words: Sequence[str]) -> None:
    """Import what these words need, wait for one byte from the parent, and be the command; where he ends first, end."""
    for row in ROWS:
        if row.word == words[0]:
            importlib.import_module(row.module)
    for name in EARLY if words[0] == "worker" else (*EARLY, *SERVING):
        importlib.import_module(name)
    # A worker that has started looks at all that there is, once: so here it is put aside, while there is time.
    gc.collect()
    gc.freeze()
    if os.read(sys.stdin.fileno(), 1):
        sys.argv = ["jobqueue", *words]
        main()


if __name__ == "__main__":
    stand_by(sys.argv[1:])
