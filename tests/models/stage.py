"""The stage: an event loop, a Redis and a clock that stands still, for models that move one step at a time."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from hypothesis import HealthCheck, Phase, settings

from jobqueue import App, Handler, Registry, Settings

T = TypeVar("T")

_START_MS: Final = 1_800_000_000_000
IS_LONG: Final = os.environ.get("HYPOTHESIS_PROFILE") == "long"
PHASES: Final = [Phase.generate, Phase.shrink] if "SHRINK" in os.environ else [Phase.generate]


class HandClock:
    """In the place of `time` in jobqueue.clock: it is always the same time, until somebody lets time pass."""

    def __init__(self) -> None:
        self.now_ms = _START_MS

    def time_ns(self) -> int:
        return self.now_ms * 1_000_000


@dataclass(slots=True)
class Stage:
    """One for each test. Concurrency: none; every call of the product is run to its end before the next begins."""

    loop: asyncio.AbstractEventLoop
    settings: Settings
    clock: HandClock
    steps: int = 0
    examples: int = 0
    took_s: float = 0.0
    _apps: list[App] = field(default_factory=list[App])

    def run(self, call: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(call)

    def open_app(self, handlers: Sequence[Handler[Any]]) -> App:
        """The app of one example, alone on an empty Redis."""
        self.examples += 1
        self.clock.now_ms = _START_MS
        app = App(Registry(handlers), self.settings)
        self._apps.append(app)
        self.run(app.client.call("FLUSHALL"))
        return app

    def close_app(self) -> None:
        self.run(self._apps.pop().close())


def profile() -> settings:
    """An example takes as long as it takes: a busy machine is no failure."""
    size = settings(max_examples=400, stateful_step_count=60) if IS_LONG else settings(max_examples=25)
    return settings(
        size,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow],
        print_blob=True,
        report_multiple_bugs=False,
        phases=PHASES,
    )
