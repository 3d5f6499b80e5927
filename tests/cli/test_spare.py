"""The child that stands by: it has the library's code in its memory, and must not run what is old by then."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from tests.cli.terminal import LONGEST_S

EARLY = 'print("this is {} code", flush=True)\n'


def standing_by(folder: Path) -> subprocess.Popen[str]:
    """A spare that has imported `early.py` of the folder, as it has what lies there of the library."""
    folder.mkdir()
    (folder / "sitecustomize.py").write_text("import early\n", encoding="utf-8")
    (folder / "early.py").write_text(EARLY.format("old"), encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-B", "-m", "jobqueue.cli.spare", str(time.time_ns()), "--version"],
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(folder)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def said_first(spare: subprocess.Popen[str]) -> str:
    assert spare.stdout is not None
    return spare.stdout.readline()


def test_code_that_changes_while_it_stands_by_is_imported_anew(tmp_path: Path) -> None:
    with standing_by(tmp_path / "changed") as changed, standing_by(tmp_path / "same") as same:
        # given
        assert [said_first(changed), said_first(same)] == ["this is old code\n"] * 2

        # when
        (tmp_path / "changed" / "early.py").write_text(EARLY.format("new"), encoding="utf-8")
        (tmp_path / "same" / "late.py").write_text(EARLY.format("nobody's"), encoding="utf-8")
        outputs = [spare.communicate("\n", LONGEST_S)[0].splitlines() for spare in (changed, same)]

        # then
        version = outputs[0][-1]
        assert version.startswith("jobqueue ")
        assert outputs == [["this is new code", version], [version]]
        assert (changed.returncode, same.returncode) == (0, 0)
