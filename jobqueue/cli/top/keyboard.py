"""Keyboard: single keys of a terminal, which is as it was before when the block ends, however that goes."""

from __future__ import annotations

import asyncio
import os
import re
import sys
import termios
import tty
from types import TracebackType
from typing import Final

_ENDED: Final = "q"
_NAMES: Final = {
    "\x1b[A": "up",
    "\x1bOA": "up",
    "\x1b[B": "down",
    "\x1bOB": "down",
    "\r": "enter",
    "\n": "enter",
    "\x1b": "escape",
    "\x7f": "backspace",
    "\x08": "backspace",
}
_KEY = re.compile(r"\x1b[\[O][0-9;]*[A-Za-z~]|.", re.DOTALL)
_CONTROL: Final = 6


class Keyboard:
    """`keys` has what was pressed: a character, or up, down, enter, escape, backspace. A terminal that is gone quits.

    Ctrl-C stays a signal. Ctrl-Z is switched off: the shell would be left with a screen that is not its own.
    """

    def __init__(self) -> None:
        self.keys = asyncio.Queue[str]()
        self._terminal = sys.stdin.fileno()
        self._before = termios.tcgetattr(self._terminal)

    def __enter__(self) -> Keyboard:
        tty.setcbreak(self._terminal)
        changed = termios.tcgetattr(self._terminal)
        changed[_CONTROL][termios.VSUSP] = b"\x00"
        termios.tcsetattr(self._terminal, termios.TCSADRAIN, changed)
        asyncio.get_running_loop().add_reader(self._terminal, self._read)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        asyncio.get_running_loop().remove_reader(self._terminal)
        termios.tcsetattr(self._terminal, termios.TCSAFLUSH, self._before)

    def _read(self) -> None:
        try:
            text = os.read(self._terminal, 1024).decode("utf-8", "replace")
        except OSError:
            text = ""  # the terminal was closed
        if not text:
            asyncio.get_running_loop().remove_reader(self._terminal)
            self.keys.put_nowait(_ENDED)
        for found in _KEY.finditer(text):
            self.keys.put_nowait(_NAMES.get(found.group(), found.group()))
