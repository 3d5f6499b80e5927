"""Watching: the screen that follows the queues until the person quits."""

from __future__ import annotations

import asyncio
import logging
import signal
import time
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from typing import Final, assert_never

from rich.console import Console
from rich.live import Live

from jobqueue.app import App
from jobqueue.cli.acting import person
from jobqueue.cli.top.drawing import draw
from jobqueue.cli.top.frames import MAX_FIGURES, Frame, Frames
from jobqueue.cli.top.hearing import Ear
from jobqueue.cli.top.keyboard import Keyboard
from jobqueue.cli.top.view import Change, Quit, View, pressed
from jobqueue.errors import JobqueueError, RedisError
from jobqueue.inspector import Inspector

SPACING_S: Final = 0.5
"""At most so often the queues are looked at, whatever happens there."""
LONGEST_S: Final = 1.0
"""At least so often: times go on, and not every change is told."""
MAX_HEARD: Final = 20
"""Queues whose events are heard: each costs a connection."""


async def watch(app: App) -> None:
    """Returns when the person quits, or on SIGTERM; the terminal is as it was then, and where this raises, too."""
    logging.getLogger().addHandler(logging.NullHandler())  # a log line would be drawn into the screen
    console = Console(highlight=False)
    live = Live(console=console, screen=True, auto_refresh=False, redirect_stdout=False, redirect_stderr=False)
    async with app:
        keyboard = Keyboard()
        screen = Screen(app, keyboard, live)
        # The signals first: one that came while the terminal is another one would leave it so.
        with screen.on_signals(), keyboard, live:
            await screen.run()


class Screen:
    """What is seen, and what the keys do. Concurrency: in one task the keys are heard, in another the queues read."""

    def __init__(self, app: App, keyboard: Keyboard, live: Live) -> None:
        self._app = app
        self._inspector = Inspector(app)
        self._frames = Frames(self._inspector)
        self._keyboard = keyboard
        self._live = live
        self._frame = Frame(0, (), {}, (), (), ())
        self._view = View()
        self._away = False
        self._seen, self._changed, self._quit = asyncio.Event(), asyncio.Event(), asyncio.Event()

    @contextmanager
    def on_signals(self) -> Generator[None]:
        """SIGTERM quits; a new size is drawn anew."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._quit.set)
        loop.add_signal_handler(signal.SIGWINCH, self._changed.set)
        try:
            yield
        finally:
            loop.remove_signal_handler(signal.SIGWINCH)
            loop.remove_signal_handler(signal.SIGTERM)

    async def run(self) -> None:
        async with self._hearing(), asyncio.TaskGroup() as tasks:
            following = tasks.create_task(self._follow())
            obeying = tasks.create_task(self._obey())
            await self._quit.wait()
            following.cancel()
            obeying.cancel()

    # The queues

    async def _follow(self) -> None:
        while True:
            looked_at_s = time.monotonic()
            self._changed.clear()
            await self._look()
            self._draw()
            await self._rest(looked_at_s)

    async def _look(self) -> None:
        """Where Redis is away, what was seen last stays."""
        names, view = self._frame.names, self._view
        place = names.index(view.selected) if view.selected in names else 0
        try:
            opened = view.selected if view.opened else None
            self._frame = await self._frames.read(max(place - MAX_FIGURES // 2, 0), opened)
            self._away = False
            self._seen.set()
        except RedisError:
            self._away = True
        except JobqueueError as error:
            self._view = replace(self._view, message=f"error: {error}")
        self._view = self._view.of(self._frame.names)

    async def _rest(self, looked_at_s: float) -> None:
        try:
            async with asyncio.timeout(LONGEST_S):
                await self._changed.wait()
        except TimeoutError:
            return
        await asyncio.sleep(max(0.0, looked_at_s + SPACING_S - time.monotonic()))  # what else happens is drawn with it

    def _draw(self) -> None:
        width, height = self._live.console.size
        self._live.update(draw(self._frame, self._view, width, height, away=self._away), refresh=True)

    @asynccontextmanager
    async def _hearing(self) -> AsyncGenerator[None]:
        """Queues that come later are seen all the same, once a second."""
        ears: list[Ear] = []
        hearing = asyncio.create_task(self._hear(ears))
        try:
            yield
        finally:
            hearing.cancel()
            await asyncio.gather(hearing, return_exceptions=True)
            for ear in ears:
                ear.leave()

    async def _hear(self, ears: list[Ear]) -> None:
        await self._seen.wait()
        for name in self._frame.names[:MAX_HEARD]:
            ears.append(Ear(self._app, name, self._changed))
            await ears[-1].listen()

    # The keys

    async def _obey(self) -> None:
        while True:
            key = await self._keyboard.keys.get()
            paused = frozenset(queue.name for queue in self._frame.queues if queue.paused)
            was_opened = self._view.opened
            self._view, wish = pressed(self._view, key, self._frame.names, paused)
            match wish:
                case Quit():
                    self._quit.set()
                case Change():
                    await self._change(wish)
                case None:
                    pass
                case _:
                    assert_never(wish)
            if self._view.opened != was_opened:
                self._changed.set()
            self._draw()

    async def _change(self, wish: Change) -> None:
        operator = self._inspector.acting_as(person())
        try:
            await (operator.pause if wish.verb == "pause" else operator.resume)(wish.queue)
        except JobqueueError as error:
            self._view = replace(self._view, message=f"error: {error}")
        else:
            self._view = replace(self._view, message=f"queue {wish.queue}: {wish.verb}d")
            self._changed.set()
