"""Terminal: a folder and an environment in which a test runs `jobqueue`."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import psutil

JOBQUEUE = str(Path(sys.executable).with_name("jobqueue"))
LONGEST_S = 50.0


class Terminal:
    """A person's terminal: what is in `environment` is all that is set there, beside PATH and HOME."""

    def __init__(self, folder: Path, environment: Mapping[str, str], jobqueue: Path) -> None:
        """`jobqueue` is the program that short commands are run by; servers are started as they are installed."""
        self.folder = folder
        self._jobqueue = str(jobqueue)
        self.environment = dict(environment)
        self._logs = 0

    def beside(self, environment: Mapping[str, str]) -> Terminal:
        """Another terminal in the same folder."""
        return Terminal(self.folder, environment, Path(self._jobqueue))

    def run(self, *words: str, typed: str = "", **changes: str) -> subprocess.CompletedProcess[str]:
        """A short command, until it ends; `changes` to the environment are this command's alone."""
        return subprocess.run(
            [self._jobqueue, *words],
            cwd=self.folder,
            env=self.environment_with(changes),
            input=typed,
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )

    def run_in_shell(self, line: str) -> subprocess.CompletedProcess[str]:
        """`jobqueue` and the rest of the line, with what a shell can do to its streams."""
        return subprocess.run(
            ["sh", "-c", f"exec {JOBQUEUE} {line}"],
            cwd=self.folder,
            env=self.environment_with({}),
            capture_output=True,
            text=True,
            timeout=LONGEST_S,
            check=False,
        )

    @contextmanager
    def running(self, *words: str, **changes: str) -> Generator[Running]:
        """A server for the length of the block; it is killed there if it still runs."""
        self._logs += 1
        log = self.folder.parent / f"server-{self._logs}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                # The kernel ends it with the test run, should that be killed.
                ["setpriv", "--pdeathsig", "KILL", "--", JOBQUEUE, *words],
                cwd=self.folder,
                env=self.environment_with(changes),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        server = Running(process, log)
        try:
            yield server
        finally:
            family = server.family()
            process.kill()
            process.wait()
            for member in family:
                if member.is_running():
                    member.kill()

    def environment_with(self, changes: Mapping[str, str]) -> dict[str, str]:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        return kept | self.environment | dict(changes)


class Running:
    """A server that a test started, alone in its process group as on a terminal."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    @property
    def pid(self) -> int:
        return self._process.pid

    def said(self) -> str:
        return self._log.read_text(encoding="utf-8", errors="replace")

    def has_said(self, words: str, times: int = 1) -> bool:
        """Raises: AssertionError where the server has ended without."""
        if self.said().count(words) >= times:
            return True
        status = self._process.poll()
        assert status is None, f"ended with {status} without saying {words!r}:\n{self.said()}"
        return False

    def press_ctrl_c(self) -> None:
        """What a terminal does: SIGINT for the whole group in its foreground."""
        os.killpg(self._process.pid, signal.SIGINT)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._process.poll()

    def wait(self) -> int:
        return self._process.wait(LONGEST_S)

    def family(self) -> list[psutil.Process]:
        """The process and all that it has started."""
        try:
            parent = psutil.Process(self._process.pid)
            return [parent, *parent.children(recursive=True)]
        except psutil.NoSuchProcess:
            return []


def survivors(family: list[psutil.Process]) -> list[psutil.Process]:
    """Those that still run; the dead that nobody has waited for do not."""
    return [one for one in family if one.is_running() and one.status() != psutil.STATUS_ZOMBIE]
