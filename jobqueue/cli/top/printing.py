"""Printing: frames for programs and for pipes."""

from __future__ import annotations

import asyncio
import logging
import shutil
import time
from typing import Any, Final

from pydantic_core import to_json

from jobqueue import harmless
from jobqueue.app import App
from jobqueue.cli.console import say
from jobqueue.cli.tables import drawn
from jobqueue.cli.top.drawing import draw
from jobqueue.cli.top.frames import Frames
from jobqueue.cli.top.shapes import away_json, frame_json
from jobqueue.cli.top.view import View
from jobqueue.errors import RedisError
from jobqueue.inspector import Inspector

EVERY_S: Final = 1.0


async def print_frame(app: App) -> None:
    """Raises: RedisUnavailable and its kin."""
    async with app:
        frame = await Frames(Inspector(app)).read()
    width = shutil.get_terminal_size().columns
    say(drawn(draw(frame, View(), width, None), width=width))


async def print_objects(app: App, *, once: bool) -> None:
    """One line a second until the command is ended; one that says so while Redis is away.

    Raises: RedisUnavailable and its kin, where there is to be one alone.
    """
    logging.getLogger().addHandler(logging.NullHandler())
    async with app:
        frames = Frames(Inspector(app))
        if once:
            _say_line(frame_json(await frames.read()))
            return
        while True:
            begun_s = time.monotonic()
            try:
                _say_line(frame_json(await frames.read()))
            except RedisError:
                _say_line(away_json(round(time.time() * 1000)))
            await asyncio.sleep(max(0.0, begun_s + EVERY_S - time.monotonic()))  # once a second is the promise


def _say_line(value: dict[str, Any]) -> None:
    say(harmless.json_text(to_json(value, inf_nan_mode="null").decode()))
