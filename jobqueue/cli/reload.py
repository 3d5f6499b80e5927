"""Reload: a child process that is started anew when the code changes."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchfiles import Change, DefaultFilter, watch

from jobqueue.cli.folder import NAME
from jobqueue.cli.stopping import Stopper
from jobqueue.settings import Settings

LAST_CALL_S = 10.0
"""What a child gets that was told to stop at once, before it is killed."""

_DEBOUNCE_MS = 200
_log = logging.getLogger("jobqueue.reload")


@dataclass(frozen=True, slots=True)
class Sources:
    """What is watched: every .py under `folder`, and one more file anywhere."""

    folder: Path
    config: Path | None = None

    def matter(self, change: Change, path: str) -> bool:
        """Editors' and tools' own files do not."""
        changed = Path(path)
        return changed == self.config or (changed.suffix == ".py" and _NO_LITTER(change, path))


def sources_of(settings: Settings) -> Sources:
    config = settings.jobs_config
    return Sources(Path.cwd(), config.resolve() if config else None)


class _NoLitter(DefaultFilter):
    ignore_dirs = (*DefaultFilter.ignore_dirs, NAME)


_NO_LITTER = _NoLitter()


class Reloader:
    """Keeps one child running; one that fails is started again at the next change.

    The child is in a process group of its own, so that a terminal's Ctrl-C comes from here alone, and sees the end of
    its standard input if this process is killed.
    """

    def __init__(
        self,
        command: Callable[[bool], Sequence[str]],
        sources: Sources,
        stopper: Stopper,
        pass_fds: Sequence[int] = (),
    ) -> None:
        self._command = command
        self._sources = sources
        self._stopper = stopper
        self._pass_fds = pass_fds
        self._changed = asyncio.Event()

    async def run(self) -> None:
        """Until the stopper asks; the child is gone then."""
        watching = [asyncio.create_task(watch) for watch in self._watches()]
        try:
            await self._keep_running(watching)
        finally:
            for task in watching:
                task.cancel()
            await asyncio.gather(*watching, return_exceptions=True)

    async def _keep_running(self, watching: Sequence[asyncio.Task[None]]) -> None:
        is_restart = False
        while not self._stopper.is_asked:
            self._changed.clear()
            child = await self._start(is_restart)
            is_restart = True
            try:
                await self._first(*watching, child.wait(), self._changed.wait(), self._stopper.asked())
                if child.returncode is not None and not self._changed.is_set() and not self._stopper.is_asked:
                    _log.error("ended with status %s; waiting for a change", child.returncode)
                    await self._first(*watching, self._changed.wait(), self._stopper.asked())
            finally:
                await self._end(child)

    async def _start(self, is_restart: bool) -> Process:
        return await asyncio.create_subprocess_exec(
            # -B: a .pyc is told from its source by size and second, too coarse for code that changes right now.
            *(sys.executable, "-B", "-m", "jobqueue.cli", *self._command(is_restart)),
            stdin=PIPE,
            pass_fds=self._pass_fds,
            process_group=0,
        )

    async def _end(self, child: Process) -> None:
        """In good order; at once where the stopper urges."""
        if child.returncode is None:
            child.terminate()
            await self._first(child.wait(), self._stopper.urged())
        if child.returncode is None:
            child.terminate()
            await self._first(child.wait(), asyncio.sleep(LAST_CALL_S))
        if child.returncode is None:
            child.kill()
        await child.wait()

    async def _first(self, *waits: Coroutine[Any, Any, object] | asyncio.Task[None]) -> None:
        """Wait for one of them. Raises: what a watch raised, for without it nothing would be reloaded."""
        tasks = [wait if isinstance(wait, asyncio.Task) else asyncio.create_task(wait) for wait in waits]
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task, wait in zip(tasks, waits, strict=True):
            if task is not wait:
                task.cancel()
        await asyncio.gather(*done)

    def _watches(self) -> list[Coroutine[Any, Any, None]]:
        folder, config = self._sources.folder, self._sources.config
        watches: list[Coroutine[Any, Any, None]] = [self._watch(folder, recursive=True)]
        if config is not None and not config.is_relative_to(folder):
            watches.append(self._watch(config.parent, recursive=False))
        return watches

    async def _watch(self, folder: Path, *, recursive: bool) -> None:
        loop, over = asyncio.get_running_loop(), threading.Event()

        def follow() -> None:
            matter = self._sources.matter
            batches = watch(folder, watch_filter=matter, debounce=_DEBOUNCE_MS, stop_event=over, recursive=recursive)
            for batch in batches:
                loop.call_soon_threadsafe(self._tell, sorted({Path(path).name for _, path in batch}))

        try:
            await asyncio.to_thread(follow)
        finally:
            over.set()

    def _tell(self, names: Sequence[str]) -> None:
        _log.info("changed: %s; starting anew", ", ".join(names))
        self._changed.set()
