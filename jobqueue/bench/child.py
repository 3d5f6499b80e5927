"""Child: one program at work, from its start to the line that it prints, or to its end by our hand."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from jobqueue.bench.server import PROGRAM_CORE, on_core

DEADLINE_S: Final = 600.0

_GRACE_S = 5.0
_TAIL = 2_000


class ProgramFailed(Exception):
    """The program ended with an error, said nothing, or did not end; the message holds the end of its stderr."""


@contextmanager
def started(
    command: Sequence[str], environment: Mapping[str, str], *, pinned: bool
) -> Generator[subprocess.Popen[bytes]]:
    """Start it; it and what it started are gone with the block, also after Ctrl-C.

    Where this process is killed, the kernel ends it (on Linux).
    """
    leashed = ["setpriv", "--pdeathsig", "KILL", "--", *command] if shutil.which("setpriv") else command
    with on_core(PROGRAM_CORE if pinned else None):
        child = subprocess.Popen(
            leashed,
            env=dict(environment),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C reaches us, and we end the group
        )
    try:
        yield child
    finally:
        _end(child)


def told_by(command: Sequence[str], environment: Mapping[str, str], *, pinned: bool) -> str:
    """Run a program to its end and return its last line of output. Raises: ProgramFailed."""
    with started(command, environment, pinned=pinned) as child:
        try:
            out, err = child.communicate(timeout=DEADLINE_S)
        except subprocess.TimeoutExpired:
            raise ProgramFailed(f"did not end within {DEADLINE_S:g} s") from None
    lines = out.decode(errors="replace").strip().splitlines()
    if child.returncode != 0 or not lines:
        raise ProgramFailed(f"exit status {child.returncode}: {tail_of(err)}")
    return lines[-1]


def tail_of(text: bytes) -> str:
    return text[-_TAIL:].decode(errors="replace").strip()


def rss_mb(pid: int) -> float:
    """What a process and its children hold in memory now. Raises: OSError where the system has no /proc."""
    kilobytes = 0
    for member in _family(pid):
        status = Path(f"/proc/{member}/status").read_text(encoding="utf-8")
        kilobytes += sum(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS:"))
    return kilobytes / 1024


def cpu_s(pid: int) -> float:
    """User and system time of a process and its children since they started. Raises: OSError without /proc."""
    ticks = 0
    for member in _family(pid):
        fields = Path(f"/proc/{member}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def _family(pid: int) -> list[int]:
    members = [pid]
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in children.read_text(encoding="utf-8").split():
            members += _family(int(child))
    return members


def _end(child: subprocess.Popen[bytes]) -> None:
    if child.poll() is None:
        child.terminate()
        try:
            child.communicate(timeout=_GRACE_S)
        except subprocess.TimeoutExpired:
            child.kill()
            child.communicate()
    _end_group(child.pid)


def _end_group(leader: int) -> None:
    """What the program has left behind."""
    deadline = time.monotonic() + _GRACE_S
    while time.monotonic() < deadline:
        try:
            os.killpg(leader, signal.SIGKILL)
        except ProcessLookupError:
            return
        time.sleep(0.01)
