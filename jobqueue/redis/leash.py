"""Leash: a small process between the embedded server and its parent, which ends the server with the parent.

It is run as a script, not as a module, so that it loads nothing but a little of the standard library:
`python -I -S leash.py PARENT_PID LOCK_FD SCRATCH COMMAND…`. SCRATCH is a folder to remove at the end, or "".

Why not ask the kernel to end the server when its parent dies: Linux does so when the *thread* that forked it
ends, and macOS not at all. This process has one thread, so for itself it may ask.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import FrameType

PATROL_S = 0.5
GRACE_S = 5.0
"""How long the server may take for an orderly end before it is killed."""

_PR_SET_PDEATHSIG = 1


def main() -> int:
    """Run COMMAND until it ends, a byte or the end of standard input comes, or the parent is gone."""
    parent_pid, lock_fd = int(sys.argv[1]), int(sys.argv[2])
    scratch, command = sys.argv[3], sys.argv[4:]
    # A handler and not SIG_IGN, which the server would inherit.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _only_the_parent_decides)
    # The server holds the lock of its directory too, so that is locked for as long as anything writes there.
    server = subprocess.Popen(
        command, stdin=subprocess.DEVNULL, pass_fds=(lock_fd,), umask=0o077, preexec_fn=_follow_this_process()
    )
    os.ftruncate(lock_fd, 0)
    os.pwrite(lock_fd, f"process {server.pid}, a Redis server of process {parent_pid},".encode(), 0)
    while server.poll() is None and not _is_let_go(parent_pid):
        pass
    returncode = _end(server)
    if scratch:
        (Path(scratch) / "redis.sock").unlink(missing_ok=True)
        Path(scratch).rmdir()
    return returncode


def _is_let_go(parent_pid: int) -> bool:
    # The end of the pipe comes as soon as the parent dies, but not while a child that it forked holds the
    # other end; so look at the parent as well.
    readable, _, _ = select.select([sys.stdin.fileno()], [], [], PATROL_S)
    return bool(readable) or os.getppid() != parent_pid


def _end(server: subprocess.Popen[bytes]) -> int:
    server.terminate()
    try:
        return server.wait(GRACE_S)
    except subprocess.TimeoutExpired:
        server.kill()
        return server.wait()


def _follow_this_process() -> Callable[[], None] | None:
    """On Linux the kernel ends the server if this process is killed; elsewhere nothing does."""
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl

    def follow() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

    return follow


def _only_the_parent_decides(number: int, frame: FrameType | None) -> None:
    """A signal for the whole terminal or session must not end the server while its parent still uses it."""


if __name__ == "__main__":
    sys.exit(main())
