"""Crew: the worker processes under test; started, killed, frozen, and started again when they die."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from jobqueue.settings import Settings
from scripts.chaos.at_work import up
from scripts.chaos.ledger import VARIABLE, Ledger

PROJECT: Final = Path(__file__).parents[2]
_PASSED_ON: Final = (
    *("redis_url", "database_url", "jobs_prefix", "jobs_queue", "worker_concurrency"),
    *("worker_lock_ms", "worker_stalled_ms", "worker_shutdown_ms", "jobs_max_queue_depth"),
)
WORKER: Final = "scripts.chaos.at_work"
START_S: Final = 60.0
_END_S: Final = 30.0


class Crew(AbstractAsyncContextManager["Crew"]):
    """A number of places, each with one worker process at a time, until the block ends.

    The ledger is told of each process that is gone. Processes die with this one, even if that is killed.
    `of_places` has, for the first places, what the environment of their processes has besides. All run `module`,
    as it is in `folder`.
    """

    def __init__(
        self,
        settings: Settings,
        ledger: Ledger,
        registry: str,
        places: int,
        of_places: Sequence[Mapping[str, str]] = (),
        module: str = WORKER,
        folder: Path = PROJECT,
    ) -> None:
        self._environment = environment_of(settings, ledger, registry)
        self._ledger = ledger
        self._log = ledger.path.with_name("workers.log")
        self._places = places
        self._of_places = dict(enumerate(of_places))
        self._module = module
        self._folder = folder
        self._running: dict[int, asyncio.subprocess.Process] = {}
        self._frozen: set[int] = set()
        self._keepers: list[asyncio.Task[None]] = []
        self._ending = False
        self.deaths = 0

    @property
    def pids(self) -> tuple[int, ...]:
        """The processes that serve now and are not frozen, oldest first."""
        return tuple(pid for pid in self._running if pid not in self._frozen and up(self._ledger, pid).exists())

    async def __aenter__(self) -> Self:
        processes = [await self._start(place) for place in range(self._places)]
        self._keepers = [asyncio.create_task(self._keep(place, one)) for place, one in enumerate(processes)]
        await self._all_up()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the workers in good order; one that takes too long is killed."""
        self._ending = True
        for pid in tuple(self._frozen):
            self.thaw(pid)
        for pid in self._running:
            _send(pid, signal.SIGTERM)
        await asyncio.wait(self._keepers, timeout=_END_S)
        for pid in self._running:
            _send(pid, signal.SIGKILL)
        await asyncio.gather(*self._keepers)

    async def _all_up(self) -> None:
        """Harm that comes before the first job is served harms nothing. Raises: TimeoutError."""
        async with asyncio.timeout(START_S):
            while True:
                if len(self.pids) == self._places:
                    return
                await asyncio.sleep(0.02)  # a poll of files

    def kill(self, pid: int) -> None:
        """SIGKILL: the process gets no chance to say anything. Another takes its place."""
        _send(pid, signal.SIGKILL)

    def stop(self, pid: int) -> None:
        """SIGTERM: the process ends in good order, and at once where it is told twice. Another takes its place."""
        _send(pid, signal.SIGTERM)

    def freeze(self, pid: int) -> None:
        """SIGSTOP: the process stands still, its connections stay open."""
        _send(pid, signal.SIGSTOP)
        self._frozen.add(pid)
        self._ledger.write("frozen", "", 0, pid=pid)

    def thaw(self, pid: int) -> None:
        """SIGCONT; nothing where the process is gone."""
        self._frozen.discard(pid)
        if pid in self._running:
            self._ledger.write("thawed", "", 0, pid=pid)
            _send(pid, signal.SIGCONT)

    async def _keep(self, place: int, process: asyncio.subprocess.Process) -> None:
        """Keep one place filled."""
        while True:
            status = await process.wait()
            del self._running[process.pid]
            self._frozen.discard(process.pid)
            self._ledger.write("gone", "", 0, pid=process.pid, note=str(status))
            if self._ending:
                return
            self.deaths += 1
            process = await self._start(place)

    async def _start(self, place: int) -> asyncio.subprocess.Process:
        with self._log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                *("setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", self._module),
                cwd=self._folder,
                env={**self._environment, **self._of_places.get(place, {})},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )
        self._running[process.pid] = process
        if self._ending:  # it was being started when the others were told
            _send(process.pid, signal.SIGTERM)
        return process


def environment_of(settings: Settings, ledger: Ledger, registry: str) -> dict[str, str]:
    """What a process under test is told: what to serve, where, and where the ledger is."""
    told = {name.upper(): str(getattr(settings, name)) for name in _PASSED_ON}
    return {"PATH": os.environ["PATH"], **told, "JOBS_REGISTRY": registry, VARIABLE: str(ledger.path)}


def _send(pid: int, signum: signal.Signals) -> None:
    """Signal a process, unless it has died by itself and nobody has noticed yet."""
    with suppress(ProcessLookupError):
        os.kill(pid, signum)
