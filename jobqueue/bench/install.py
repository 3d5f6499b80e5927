"""Install: each peer into an environment of its own."""

from __future__ import annotations

import os
import shlex
import subprocess
from collections.abc import Callable, Sequence
from typing import Final

from jobqueue.bench.lineup import Peer, Places
from jobqueue.settings import Settings

_SETTINGS: Final = frozenset(name.upper() for name in Settings.model_fields)


def install(peers: Sequence[Peer], places: Places, tell: Callable[[str], None]) -> tuple[str, ...]:
    """Install those that are missing, telling each command; returns the names of those that could not be installed."""
    missing = [peer for peer in peers if not places.is_installed(peer)]
    return tuple(peer.name for peer in missing if not _install(peer, places, tell))


def _install(peer: Peer, places: Places, tell: Callable[[str], None]) -> bool:
    (places.home / peer.name).mkdir(parents=True, exist_ok=True)
    for command in places.install_commands(peer):
        tell(shlex.join(command))
        try:
            done = subprocess.run(command, check=False, capture_output=True, text=True, env=_environment())
        except FileNotFoundError as error:
            tell(f"{peer.name}: {error}")
            return False
        if done.returncode != 0:
            tell(f"{peer.name}: {done.stderr.strip()[-1_000:]}")
            return False
    places.mark_installed(peer)
    return True


def _environment() -> dict[str, str]:
    """Ours without the service's settings: a package that is installed may run code, and has no use for passwords."""
    return {name: value for name, value in os.environ.items() if name.upper() not in _SETTINGS}
