"""Reload: a child process that is started anew when the code changes. The next one stands by, its imports done."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from watchfiles import Change, DefaultFilter, watch

from jobqueue.cli.child import Child, ending_of
from jobqueue.cli.folder import NAME
from jobqueue.cli.stopping import Stopper
from jobqueue.cli.waiting import first_of
from jobqueue.settings import Settings

_DEBOUNCE_MS = 100
_STEP_MS = 20
"""After so long without another change it is told; after `_DEBOUNCE_MS` in any case."""
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
    """Keeps one child running; one that fails is started again at the next change."""

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
        spare: Child | None = None
        is_restart = False
        try:
            while not self._stopper.is_asked:
                self._changed.clear()
                child = await self._next(spare, is_restart=is_restart)
                spare, is_restart = None, True
                child.begin()
                try:
                    # Each of the two would slow the other's start down, and it is this one that somebody waits for.
                    await first_of(*watching, child.serves(), child.wait(), self._changed.wait(), self._stopper.asked())
                    spare = await self._stand_by(is_restart=True)
                    await first_of(*watching, child.wait(), self._changed.wait(), self._stopper.asked())
                    if child.status is not None and not self._changed.is_set() and not self._stopper.is_asked:
                        _log.error("%s; waiting for a change", ending_of(child.status))
                        await first_of(*watching, self._changed.wait(), self._stopper.asked())
                finally:
                    await child.stop(self._stopper)
        finally:
            if spare is not None:
                await spare.stop(self._stopper)

    async def _next(self, spare: Child | None, *, is_restart: bool) -> Child:
        """The spare; another one where it has died: what is idle and large is the first that a kernel kills."""
        if spare is not None and spare.status is None:
            return spare
        if spare is not None:
            await spare.stop(self._stopper)
        return await self._stand_by(is_restart=is_restart)

    async def _stand_by(self, *, is_restart: bool) -> Child:
        """The next child, with all imported that hardly ever changes."""
        # -B: a .pyc is told from its source by size and second, too coarse for code that changes right now.
        words = [str(time.time_ns()), *self._command(is_restart)]
        return await Child.start(words, python=["-B"], pass_fds=self._pass_fds, module="jobqueue.cli.spare")

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
            batches = watch(
                folder,
                watch_filter=matter,
                debounce=_DEBOUNCE_MS,
                step=_STEP_MS,
                stop_event=over,
                recursive=recursive,
            )
            for batch in batches:
                loop.call_soon_threadsafe(self._tell, sorted({Path(path).name for _, path in batch}))

        try:
            await asyncio.to_thread(follow)
        finally:
            over.set()

    def _tell(self, names: Sequence[str]) -> None:
        _log.info("changed: %s; starting anew", ", ".join(names))
        self._changed.set()
