"""Somebody who types a page's commands into one bash.

- `jobqueue` is a process of its own, forked from one that has imported everything; so a page may have many.
- Behind the commands are a worker, the API and the board, in this process, with the handlers that come with jobqueue,
  or with those of JOBS_REGISTRY where `tests/docs/given/<page>.py` says so. They end when the page starts a server.
- What serves for ever (`jobqueue dev`, `worker` and `serve`, `scripts/dev`, `uvicorn`) is started, seen to be up, and
  told to stop at the end of the page. `scripts/dev` is `jobqueue dev`, and `pip install jobqueue` does nothing.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from contextlib import AsyncExitStack, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

from board import create_app
from jobqueue import App, Worker
from jobqueue.cli.http import HttpServer, listen
from jobqueue.database import open_database
from jobqueue.registry import load_registry
from tests.docs.desk import Desk
from tests.docs.imported import forget
from tests.docs.not_run import is_run
from tests.docs.pages import Block, name_of
from tests.docs.programs import put_programs
from tests.docs.shown import is_said
from tests.docs.typed import Typed, commands_in
from tests.support.eventually import eventually

LONGEST_S: Final = 60.0
STARTS: Final = "serves"
"""What a worker's log says once it is there."""
SHELL: Final = """
set -m -o pipefail
while IFS= read -r -d '' command; do
  IFS= read -r -d '' name
  eval "$command" </dev/null >"$SAID/$name.out" 2>"$SAID/$name.err"
  printf '%s %s\\0' "$?" "$!"
done
"""


class Terminal:
    """One bash: what a command exports or sets is there for the next."""

    def __init__(self, desk: Desk, jobqueue: Path) -> None:
        self._desk = desk
        self._said = desk.folder.parent / "said"
        self._jobqueue = jobqueue
        self._environment = {**desk.environment, "SAID": str(self._said)}
        self._number = 0
        self._servers: list[tuple[Typed, int]] = []
        self._behind = AsyncExitStack()
        self._is_served = False
        self._bash: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        self._said.mkdir()
        put_programs(self._desk.folder.parent / "programs", self._desk.folder, self._jobqueue)
        registry: str | None = getattr(self._desk.given, "JOBS_REGISTRY", None)
        if registry is not None:
            self._environment["JOBS_REGISTRY"] = os.environ["JOBS_REGISTRY"] = registry
        pipe = asyncio.subprocess.PIPE
        self._bash = await asyncio.create_subprocess_exec(
            *("bash", "--norc", "-c", SHELL), cwd=self._desk.folder, env=self._environment, stdin=pipe, stdout=pipe
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._behind.aclose()
        forget(self._desk.folder)
        for typed, group in reversed(self._servers):
            await self._end(typed, group)
        bash = self._running()
        assert bash.stdin is not None
        bash.stdin.close()
        await bash.wait()

    async def type(self, block: Block) -> None:
        """Raises: AssertionError where a command ends otherwise than the block shows it."""
        self._desk.write(block)
        for typed in commands_in(block):
            if not is_run(name_of(self._desk.page), typed.first_line):
                continue
            if typed.server:
                await self._start(typed)
            else:
                if not typed.only_installs:
                    await self._serve_behind()
                await self._run(typed)

    async def _run(self, typed: Typed) -> None:
        status, _ = await self._eval(typed.text)
        out, err = self._read("out"), self._read("err")
        assert (status != 0) == typed.shows_an_error, f"{typed.place}: {typed.text}\nended with {status}:\n{out}{err}"
        if typed.shown:
            ways = (out, err, out + err, err + out)
            assert any(is_said(typed.shown, said) for said in ways), (
                f"{typed.place}: {typed.text}\nsays not what the page shows, but:\n{out}{err}"
            )

    async def _start(self, typed: Typed) -> None:
        self._is_served = True
        await self._behind.aclose()
        _, group = await self._eval(f"{{ {typed.text}\n}} &")
        self._servers.append((typed, group))
        number = self._number

        def is_up() -> bool:
            with suppress(ProcessLookupError):
                os.killpg(group, 0)
                return self._has_started(typed, number)
            raise AssertionError(f"{typed.place}: {typed.text}\nhas ended:\n{self._all_said(number)}")

        await eventually(is_up, LONGEST_S)

    def _has_started(self, typed: Typed, number: int) -> bool:
        if typed.server == "worker":
            return STARTS in self._all_said(number)
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self._desk.port)) == 0

    async def _end(self, typed: Typed, group: int) -> None:
        """As Ctrl-C would, and wait until all of its group is gone."""

        def is_gone() -> bool:
            with suppress(ProcessLookupError):
                os.killpg(group, 0)
                return False
            return True

        with suppress(ProcessLookupError):
            os.killpg(group, signal.SIGTERM)
        try:
            await eventually(is_gone, LONGEST_S)
        except AssertionError:
            os.killpg(group, signal.SIGKILL)
            raise AssertionError(f"{typed.place}: {typed.text}\ndid not stop") from None

    async def _eval(self, command: str) -> tuple[int, int]:
        """The exit status, and the process group of what was last started in the background."""
        bash = self._running()
        assert bash.stdin is not None
        assert bash.stdout is not None
        self._number += 1
        bash.stdin.write(f"{self._desk.here(command)}\0{self._number}\0".encode())
        async with asyncio.timeout(LONGEST_S):
            answer = await bash.stdout.readuntil(b"\0")
        status, _, group = answer[:-1].decode().partition(" ")
        return int(status), int(group or 0)

    def _read(self, stream: str, number: int | None = None) -> str:
        path = self._said / f"{self._number if number is None else number}.{stream}"
        return path.read_text(encoding="utf-8", errors="replace")

    def _all_said(self, number: int) -> str:
        return self._read("out", number) + self._read("err", number)

    def _running(self) -> asyncio.subprocess.Process:
        assert self._bash is not None
        return self._bash

    async def _serve_behind(self) -> None:
        """A worker, the API and the board, as `jobqueue dev` has them; from the first command on, once."""
        if self._is_served:
            return
        self._is_served = True
        settings = self._desk.settings
        opened = self._behind
        app = await opened.enter_async_context(App(load_registry(settings.jobs_registry), settings))
        database = await opened.enter_async_context(open_database(settings.database_url))
        server = HttpServer(create_app(app, database=database), listen("127.0.0.1", self._desk.port))
        server.start()
        opened.push_async_callback(server.stop)
        await opened.enter_async_context(Worker(app))
