"""The programs on a page's PATH that are not those of the machine."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from tests.support.forking import program

DEV: Final = '#!/bin/sh\nexec jobqueue dev --port "$PORT" "$@"\n'
"""`scripts/dev` without the installation before it, and in the page's own folder."""
PIP: Final = """#!/bin/sh
echo "$@" | grep -q '^install .*jobqueue' && exit 0
echo "only jobqueue is installed here" >&2
exit 1
"""
"""Nothing is installed for a page: what it asks for is here."""


def put_programs(programs: Path, folder: Path, jobqueue: Path) -> None:
    """`jobqueue` and `pip` into `programs`; `scripts/dev` and an empty `.venv` into the page's folder."""
    (programs / "jobqueue").symlink_to(jobqueue)
    program(programs / "pip", PIP)
    program(folder / "scripts" / "dev", DEV)
    program(folder / ".venv" / "bin" / "activate", "")
