"""Watchdog: names the handler that blocks the event loop, with its stack, from a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
import time
import traceback
from types import FrameType

from jobqueue.worker.run import JobTask

_log = logging.getLogger("jobqueue.worker")

_BEAT_S = 0.5
_MOST_NAMES = 20
_frames = sys._current_frames  # pyright: ignore[reportPrivateUsage]  # documented, despite its name


class Watchdog:
    """The loop beats twice a second; a thread notices when it has not for `patience_s`, and says so once.

    Where that thread could not run either, since C code held the interpreter, the next beat says it, without a stack.
    """

    def __init__(self, patience_s: float = 1.0) -> None:
        self._patience_s = max(patience_s, 2 * _BEAT_S)
        self._beaten_s = time.monotonic()
        self._told_of_s = 0.0
        """The last beat before the silence that was told last."""
        self._guard = threading.Lock()
        self._stopping = threading.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._loop_thread = 0
        self._beat_timer: asyncio.TimerHandle | None = None

    @property
    def silence_s(self) -> float:
        """Seconds since the loop last turned."""
        return time.monotonic() - self._beaten_s

    def start(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._loop_thread = threading.get_ident()
        self._beat()
        threading.Thread(target=self._watch, name="jobqueue-watchdog", daemon=True).start()

    def stop(self) -> None:
        """Twice is fine; the thread ends by itself within a beat."""
        self._stopping.set()
        if self._beat_timer is not None:
            self._beat_timer.cancel()

    def _beat(self) -> None:
        if self._is_to_tell(self._beaten_s):
            self._tell_afterwards()
        self._beaten_s = time.monotonic()
        self._beat_timer = asyncio.get_running_loop().call_later(_BEAT_S, self._beat)

    def _watch(self) -> None:
        looked_s = time.monotonic()
        while not self._stopping.wait(_BEAT_S):
            last_s, looked_s = looked_s, time.monotonic()
            if self._is_to_tell(self._beaten_s):
                self._tell(in_time=looked_s - last_s < self._patience_s)

    def _is_to_tell(self, beaten_s: float) -> bool:
        """Whether the silence since a beat is a long one, and is told by nobody else. Concurrency: both threads ask."""
        with self._guard:
            if time.monotonic() - beaten_s <= self._patience_s or self._told_of_s == beaten_s:
                return False
            self._told_of_s = beaten_s
            return True

    def _tell_afterwards(self) -> None:
        """Whose turn it was cannot be known any more."""
        _log.error(
            "the event loop has been blocked for %.1f s, with every thread, by one of: %s",
            self.silence_s,
            self._at_work(),
        )

    def _tell(self, *, in_time: bool) -> None:
        """Where this thread could not look in time, whoever has his turn by now mostly is who blocked."""
        frame = _frames().get(self._loop_thread)
        task = asyncio.current_task(self._loop)
        culprit = task.get_name() if task is not None else "unknown"
        if not in_time:
            culprit += f" or, since no thread could look meanwhile, by another one of: {self._at_work()}"
        _log.error("the event loop has been blocked for %.1f s by %s:\n%s", self.silence_s, culprit, _stack(frame))

    def _at_work(self) -> str:
        names = sorted(task.get_name() for task in asyncio.all_tasks(self._loop) if isinstance(task, JobTask))
        return ", ".join(names[:_MOST_NAMES]) or "unknown"


def _stack(frame: FrameType | None) -> str:
    return "".join(traceback.format_stack(frame)) if frame is not None else "(no stack)"
