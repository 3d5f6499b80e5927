"""Starts `programs.crew` as a child process, and reads its ledger."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Generator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from jobqueue.settings import Settings
from tests.support.eventually import eventually
from tests.support.processes import end, spawn
from tests.worker.programs.crew import Line, read

PROJECT = Path(__file__).parents[2]
PASSED_ON = ("redis_url", "jobs_prefix", "jobs_queue", "worker_lock_ms", "worker_stalled_ms", "worker_shutdown_ms")


@dataclass(frozen=True, slots=True)
class Crew:
    """Workers in processes of their own, and the ledger that they share."""

    folder: Path
    started: ExitStack = field(default_factory=ExitStack)

    @property
    def ledger(self) -> Path:
        return self.folder / "ledger"

    @property
    def output(self) -> str:
        return (self.folder / "crew.log").read_text(encoding="utf-8")

    def start(self, settings: Settings) -> subprocess.Popen[bytes]:
        """A worker process; it is killed when the test ends, at the latest."""
        environment = [f"{name.upper()}={getattr(settings, name)}" for name in PASSED_ON]
        program = [sys.executable, "-m", "tests.worker.programs.crew"]
        command = ["env", f"LEDGER={self.ledger}", *environment, *program]
        process = spawn(command, cwd=PROJECT, log=self.folder / "crew.log")
        self.started.callback(end, process, signal.SIGKILL)
        return process

    def lines(self, what: str) -> list[Line]:
        return [line for line in read(self.ledger) if line.what == what]

    def runs(self) -> Counter[str]:
        """How often each job was started."""
        return Counter(line.job_id for line in self.lines("start"))

    async def have_started(self, count: int) -> list[Line]:
        """Wait until that many runs have begun."""

        def started() -> list[Line] | None:
            lines = self.lines("start")
            return lines if len(lines) >= count else None

        return await eventually(started, 20)


@contextmanager
def crew_in(folder: Path) -> Generator[Crew]:
    """A crew that works in `folder`; its processes end with the block."""
    crew = Crew(folder)
    with crew.started:
        yield crew
