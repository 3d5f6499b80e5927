"""Under signal: one worker process that is started, looked at from outside, told to end, and seen to leave nothing."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, NamedTuple, TypeAlias

from scripts.chaos.crew import PROJECT
from scripts.chaos.ledger import clock_us

Command: TypeAlias = Literal["jobqueue worker", "--processes 2", "jobqueue.Worker"]
COMMANDS: Final[Mapping[Command, Sequence[str]]] = {
    "jobqueue worker": ("jobqueue.cli", "worker"),
    "--processes 2": ("jobqueue.cli", "worker", "--processes", "2"),
    "jobqueue.Worker": ("scripts.chaos.at_work",),
}
Manner: TypeAlias = Literal["TERM", "INT", "TERM and INT", "TERM twice", "INT twice", "TERM, then KILL", "Ctrl-C"]
"""`Ctrl-C` is SIGINT to the whole process group, as a terminal sends it."""
MANNERS: Final[Mapping[Manner, Sequence[signal.Signals]]] = {
    "TERM": (signal.SIGTERM,),
    "INT": (signal.SIGINT,),
    "TERM and INT": (signal.SIGTERM, signal.SIGINT),
    "TERM twice": (signal.SIGTERM, signal.SIGTERM),
    "INT twice": (signal.SIGINT, signal.SIGINT),
    "TERM, then KILL": (signal.SIGTERM, signal.SIGKILL),
    "Ctrl-C": (signal.SIGINT,),
}
_MARK: Final = "CHAOS_ROUND"
_GIVES_UP_S: Final = 30.0


class Exit(NamedTuple):
    """How a process ended: its status (negative: the signal), and how long after the first signal."""

    status: int
    took_s: float


class Orphan(NamedTuple):
    """A process that has outlived the one that was started."""

    pid: int
    command: str


@dataclass(slots=True)
class UnderSignal:
    """One process in a group of its own; `mark` is in its environment and in that of all its descendants."""

    process: asyncio.subprocess.Process
    mark: str
    first_signal_s: float = 0.0
    signals_us: list[int] = field(default_factory=list[int])
    """By the ledger's clock."""

    @classmethod
    async def start(cls, command: Command, environment: Mapping[str, str], mark: str, log: Path) -> UnderSignal:
        with log.open("ab") as output:
            process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", *COMMANDS[command]),
                cwd=PROJECT,
                env={**environment, _MARK: mark},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                start_new_session=True,
            )
        return cls(process, mark)

    def is_armed(self) -> bool:
        """Whether SIGTERM would be caught: before that it ends the interpreter, as it ends every program."""
        path = Path(f"/proc/{self.process.pid}/status")
        caught = next(line for line in path.read_text(encoding="ascii").splitlines() if line.startswith("SigCgt"))
        return bool(int(caught.split()[1], 16) >> (signal.SIGTERM - 1) & 1)

    @property
    def is_gone(self) -> bool:
        return self.process.returncode is not None

    def send(self, signum: signal.Signals, *, to_all: bool = False) -> None:
        """Nothing where it is gone."""
        self.first_signal_s = self.first_signal_s or time.monotonic()
        self.signals_us.append(clock_us())
        if not self.is_gone:
            with suppress(ProcessLookupError):  # it has ended, and the event loop has not heard of it yet
                (os.killpg if to_all else os.kill)(self.process.pid, signum)

    async def exit(self) -> Exit:
        """Wait for its end. Raises: TimeoutError where it does not come; the process is killed then."""
        try:
            async with asyncio.timeout(_GIVES_UP_S):
                status = await self.process.wait()
        except TimeoutError:
            self.process.kill()
            raise
        return Exit(status, time.monotonic() - self.first_signal_s)

    async def orphans(self, within_s: float) -> list[Orphan]:
        """The processes of the round that are still there after so long."""
        gives_up_at_s = time.monotonic() + within_s
        while True:
            left = self._alive()
            if not left or time.monotonic() > gives_up_at_s:
                return left
            await asyncio.sleep(0.02)  # a poll of /proc

    async def clear(self) -> None:
        """Kill whatever is left of the round."""
        for left in self._alive():
            with suppress(ProcessLookupError):
                os.kill(left.pid, signal.SIGKILL)
        await self.process.wait()

    def _alive(self) -> list[Orphan]:
        mark = f"{_MARK}={self.mark}\0".encode()
        found = [path.parent for path in Path("/proc").glob("[0-9]*/environ") if mark in _read(path)]
        return [Orphan(int(path.name), _read(path / "cmdline").replace(b"\0", b" ").decode()) for path in found]


def _read(path: Path) -> bytes:
    """Empty where the process is gone, or is nobody's but the kernel's."""
    try:
        return path.read_bytes()
    except (OSError, ProcessLookupError):
        return b""
