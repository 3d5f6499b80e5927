"""Watch: what Redis executed on some keys, in its own order and by its own clock (MONITOR)."""

from __future__ import annotations

import asyncio
import os
import re
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Final, NamedTuple, Self

from scripts.chaos.ground import Ground

_LINE: Final = re.compile(r"(?P<at>\d+\.\d{6}) \[\d+ (?P<by>[^]]+)\] (?P<words>.*)")
_WORD: Final = re.compile(r'"((?:[^"\\]|\\.)*)"')


class Seen(NamedTuple):
    """One command that Redis executed, by itself or in a script. Units: `at_us` epoch microseconds."""

    at_us: int
    words: tuple[str, ...]
    by_script: bool


class Watch(AbstractAsyncContextManager["Watch"]):
    """Keeps the commands whose line matches `pattern`, for the block; the rest is dropped before Python sees it."""

    def __init__(self, site: Ground, pattern: str) -> None:
        self._site = site
        self._pattern = pattern
        self._path = site.folder / "seen"
        self._monitor: asyncio.subprocess.Process | None = None
        self._filter: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        leash = ("setpriv", "--pdeathsig", "KILL", "--")
        read_end, write_end = os.pipe()
        try:
            with self._path.open("wb") as seen:
                command = (*leash, "grep", "--line-buffered", "-E", self._pattern)
                self._filter = await asyncio.create_subprocess_exec(*command, stdin=read_end, stdout=seen)
            command = (*leash, "redis-cli", "-p", str(self._site.server.port), "monitor")
            self._monitor = await asyncio.create_subprocess_exec(
                *command, stdin=asyncio.subprocess.DEVNULL, stdout=write_end
            )
        finally:
            os.close(read_end)
            os.close(write_end)
        await self._site.until(self._is_watching, 10, "Redis has a client that monitors")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """What Redis has executed until now is in the file when this returns."""
        await asyncio.sleep(
            0.2
        )  # the last lines are on their way through two pipes, and nothing tells of their arrival
        if self._monitor is not None and self._filter is not None:
            self._monitor.terminate()
            await self._monitor.wait()
            await self._filter.wait()

    def seen(self) -> list[Seen]:
        """What was kept, in the order of execution."""
        with self._path.open(encoding="utf-8", errors="replace") as lines:
            matches = [match for line in lines if (match := _LINE.match(line))]
        return [_seen(match) for match in matches]

    async def _is_watching(self) -> bool:
        return "cmd=monitor" in str(await self._site.ask("CLIENT", "LIST"))


def _seen(match: re.Match[str]) -> Seen:
    return Seen(round(float(match["at"]) * 1e6), tuple(_WORD.findall(match["words"])), match["by"] == "lua")
