"""Idle: a worker process as its user would start it, looked at from outside while it has nothing to do."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from typing import Final

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from jobqueue.bench import child
from jobqueue.bench.child import ProgramFailed
from jobqueue.bench.lineup import OURS, Peer, Places
from jobqueue.bench.server import Server

WATCH_S: Final = 10.0

_SETTLE_S = 3.0
_START_DEADLINE_S = 30.0
_POLL_S = 0.05


def look_at(
    peer: Peer, task: dict[str, object], places: Places, server: Server, watch_s: float, *, pinned: bool
) -> tuple[float, float]:
    """Its memory in MiB three seconds after it connected, and its CPU seconds in the `watch_s` after that.

    Ours is `jobqueue worker` with the handlers that come with it; a peer is its program. Raises: ProgramFailed; OSError
    where the system has no /proc.
    """
    command = places.command(peer, task)
    if peer.name == OURS:
        command = [sys.executable, "-m", "jobqueue.cli", "worker"]
    with tempfile.TemporaryDirectory(prefix="jobqueue-bench-") as folder:
        environment = places.environment(
            REDIS_URL=server.url,
            DATABASE_URL=f"sqlite+aiosqlite:///{folder}/idle.db",
            WEBHOOK_SIGNING_PRIVATE_KEY=_signing_key(),
        )
        with child.started(command, environment, pinned=pinned) as process:
            _await_connection(process, server)
            time.sleep(_SETTLE_S)
            before_s, rss_mb = child.cpu_s(process.pid), child.rss_mb(process.pid)
            time.sleep(watch_s)
            return rss_mb, child.cpu_s(process.pid) - before_s


def _await_connection(process: subprocess.Popen[bytes], server: Server) -> None:
    """The worker has started once it holds a connection. Raises: ProgramFailed."""
    give_up_at = time.monotonic() + _START_DEADLINE_S
    while not server.clients:
        if process.poll() is not None:
            said = child.tail_of(process.communicate()[1])
            raise ProgramFailed(f"exit status {process.returncode}: {said}")
        if time.monotonic() > give_up_at:
            raise ProgramFailed(f"it did not connect to Redis within {_START_DEADLINE_S:g} s")
        time.sleep(_POLL_S)


def _signing_key() -> str:
    """The handlers that come with jobqueue do not start without one; it signs nothing here."""
    key = rsa.generate_private_key(public_exponent=65_537, key_size=2_048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
