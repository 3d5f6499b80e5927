"""Lineup: who is measured, where each peer is found, and how it is installed.

The peers' packages cannot live in one environment (arq wants redis-py below 6, we want 8.1 or newer), so each has a
virtual environment of its own in `.jobqueue/bench/NAME`, and Node's package its folder there.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from jobqueue.bench.workloads import Kind, Workload
from jobqueue.errors import JobqueueError

HOME: Final = Path(".jobqueue/bench")
OURS: Final = "jobqueue"
PROGRAMS: Final = Path(__file__).parent / "peers"

_ALL: Final[tuple[Kind, ...]] = ("drain", "enqueue", "pickup", "idle")
_BESIDE_US: Final = (OURS, "bullmq")


class UnknownPeer(JobqueueError):
    """There is no peer of that name."""


@dataclass(frozen=True, slots=True)
class Peer:
    """One contender.

    `packages` are installed into its own environment. `share` is the part of a workload's jobs that it is given, so
    that a slow peer does not take hours; `lacks` names the workloads that it has no means for.
    """

    name: str
    title: str
    program: str
    packages: tuple[str, ...] = ()
    notes: str = ""
    share: float = 1.0
    lacks: tuple[str, ...] = ()

    def jobs_of(self, workload: Workload) -> int:
        whole = workload.kind == "idle" or workload.sleep_ms > 0
        return workload.jobs if whole else max(1, round(workload.jobs * self.share))

    def takes_part(self, workload: Workload) -> bool:
        """Where nobody has named the peers."""
        return workload.name not in self.lacks and (workload.field == "all" or self.name in FAMILY)


FAMILY: Final = (OURS, "node", "bullmq")
"""Those that speak BullMQ's format."""

PEERS: Final = (
    Peer(OURS, "jobqueue", "jobqueue.bench.peers.ours", notes="keeps results; a killed worker's jobs run again"),
    Peer(
        "node",
        "BullMQ (Node)",
        "node.mjs",
        ("bullmq@6.7.0", "ioredis@6.0.0"),
        "keeps results; a killed worker's jobs run again",
    ),
    Peer("bullmq", "bullmq (Python)", "run_bullmq.py", notes="keeps results; a killed worker's jobs run again"),
    Peer(
        "arq",
        "arq",
        "run_arq.py",
        ("arq", "uvloop", "hiredis"),
        "keeps results; a killed worker's jobs run again after its timeout",
        share=0.25,
        lacks=("enqueue-bulk",),
    ),
    Peer(
        "saq",
        "saq",
        "run_saq.py",
        ("saq[redis]", "typing-extensions", "uvloop", "hiredis"),
        "3 `retries`, so that a killed worker's jobs run again; the default, 1, aborts them; keeps results",
        share=0.25,
        lacks=("enqueue-bulk",),
    ),
    Peer(
        "taskiq",
        "taskiq (stream)",
        "run_taskiq.py",
        ("taskiq", "taskiq-redis", "uvloop", "hiredis"),
        "stream broker, acknowledged after the run, as is its default; no result backend",
        share=0.25,
        lacks=("enqueue-bulk",),
    ),
    Peer(
        "streaq",
        "streaq",
        "run_streaq.py",
        ("streaq", "uvloop", "hiredis"),
        "keeps results; a killed worker's jobs run again",
        share=0.25,
    ),
    Peer(
        "dramatiq",
        "dramatiq (threads)",
        "run_dramatiq.py",
        ("dramatiq[redis]", "hiredis"),
        "acknowledged after the run; no results, as is its default",
        share=0.25,
        lacks=("enqueue-bulk",),
    ),
    Peer(
        "celery",
        "celery (threads)",
        "run_celery.py",
        ("celery[redis]", "hiredis"),
        "`acks_late`, redelivered after the visibility timeout; results kept in Redis",
        share=0.25,
        lacks=("enqueue-bulk",),
    ),
)


def peers_named(names: tuple[str, ...]) -> tuple[Peer, ...]:
    """Those of the names, in the order of the list; all where no name is given. Raises: UnknownPeer."""
    known = [peer.name for peer in PEERS]
    for name in names:
        if name not in known:
            raise UnknownPeer(f"no peer {name!r}; there are {', '.join(known)}")
    return tuple(peer for peer in PEERS if not names or peer.name in names)


@dataclass(frozen=True, slots=True)
class Places:
    """Where the peers are installed. `node_modules` wins over the folder that `--install` makes."""

    home: Path = HOME
    node_modules: Path | None = None

    @property
    def node_folder(self) -> Path:
        return (self.node_modules or self.home / "node" / "node_modules").resolve()

    def is_installed(self, peer: Peer) -> bool:
        if peer.name == "node":
            return shutil.which("node") is not None and (self.node_folder / "bullmq").is_dir()
        return peer.name in _BESIDE_US or self._stamp(peer).exists()

    def mark_installed(self, peer: Peer) -> None:
        """All its packages are there; an environment alone could be left from an installation that broke off."""
        self._stamp(peer).touch()

    def install_commands(self, peer: Peer) -> tuple[tuple[str, ...], ...]:
        """The commands that `--install` runs; none for what is installed beside us."""
        folder = str(self.home / peer.name)
        if peer.name == "node":
            npm = ("npm", "install", "--prefix", folder, "--no-audit", "--no-fund", "--loglevel=error")
            return ((*npm, *peer.packages),)
        if peer.name in _BESIDE_US:
            return ()
        pip = (f"{folder}/bin/python", "-m", "pip", "install", "--quiet", "--disable-pip-version-check")
        return ((sys.executable, "-m", "venv", folder), (*pip, *peer.packages))

    def command(self, peer: Peer, task: dict[str, object]) -> list[str]:
        """The program with its task."""
        words = json.dumps(task)
        if peer.name == OURS:
            return [sys.executable, "-m", peer.program, words]
        path = str(PROGRAMS / peer.program)
        if peer.name == "node":
            return ["node", path, words]
        return [sys.executable if peer.name in _BESIDE_US else str(self._python(peer)), path, words]

    def environment(self, **settings: str) -> dict[str, str]:
        """Little, so that nothing of the caller's settings reaches a peer."""
        kept = {name: os.environ[name] for name in ("PATH", "HOME", "PYTHONPATH") if name in os.environ}
        return {**kept, "LC_ALL": "C.UTF-8", "NODE_MODULES_DIR": str(self.node_folder), **settings}

    def _stamp(self, peer: Peer) -> Path:
        return self.home / peer.name / ".installed"

    def _python(self, peer: Peer) -> Path:
        # Not resolved: the link is what tells Python which environment it is in.
        return (self.home / peer.name / "bin" / "python").absolute()
