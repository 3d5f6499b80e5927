"""Screen: `jobqueue` on a terminal of its own, as a person sees it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import signal
import struct
import subprocess
import termios
import threading
from collections.abc import Generator
from contextlib import contextmanager
from typing import Final

from tests.cli.terminal import JOBQUEUE, LONGEST_S, Terminal
from tests.support.eventually import eventually

HOME: Final = "\x1b[H"
TO_OTHER, AND_BACK = "\x1b[?1049h", "\x1b[?1049l"
"""What switches to the other screen of a terminal, which a program has for itself, and back."""
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07]*\x07|.)")


class Screen:
    """A command on a terminal; what it has written is read all the time, so that it never waits for us."""

    def __init__(self, terminal: Terminal, words: tuple[str, ...], *, columns: int, rows: int, **changes: str) -> None:
        self._ours, self._theirs = pty.openpty()
        self.resize(columns, rows)
        self.settings_before = self._settings()
        self._process = subprocess.Popen(
            ["setsid", "--ctty", JOBQUEUE, *words],  # so that Ctrl-C reaches it, and it alone
            cwd=terminal.folder,
            env={"TERM": "xterm-256color", **terminal.environment_with(changes)},
            stdin=self._theirs,
            stdout=self._theirs,
            stderr=self._theirs,
        )
        self._said = bytearray()
        threading.Thread(target=self._read, daemon=True).start()

    def resize(self, columns: int, rows: int) -> None:
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def press(self, keys: str) -> None:
        os.write(self._ours, keys.encode())

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def said(self) -> str:
        return self._said.decode("utf-8", "replace")

    def lines(self) -> list[str]:
        """What is to be seen: the last frame that is whole, or where there are no frames all that was said."""
        *_, before, frame = ["", *self.said().split(HOME)]
        if before.count("\n") > frame.count("\n"):  # the last one has not been read wholly yet
            frame = before
        return _ESCAPES.sub("", frame).replace("\r", "").split("\n")

    def text(self) -> str:
        return "\n".join(self.lines())

    async def shows(self, words: str) -> None:
        await eventually(lambda: words in self.text() or words in _ESCAPES.sub("", self.said()[-2_000:]), LONGEST_S)

    def wait(self) -> int:
        return self._process.wait(LONGEST_S)

    @property
    def is_as_before(self) -> bool:
        """True where the terminal behaves as it did before the command, and shows its first screen with a cursor."""
        said = self.said()
        is_back = said.rfind(TO_OTHER) < 0 or said.rfind(AND_BACK) > said.rfind(TO_OTHER)
        has_cursor = said.rfind("\x1b[?25l") <= said.rfind("\x1b[?25h")
        return is_back and has_cursor and self._settings() == self.settings_before

    def close(self) -> None:
        self._process.kill()
        self._process.wait()
        os.close(self._theirs)

    def _settings(self) -> list[object]:
        return list(termios.tcgetattr(self._theirs))

    def _read(self) -> None:
        while True:
            try:
                chunk = os.read(self._ours, 65_536)
            except OSError:  # both ends are closed
                chunk = b""
            if not chunk:
                os.close(self._ours)
                return
            self._said += chunk


@contextmanager
def on_screen(terminal: Terminal, *words: str, columns: int = 80, rows: int = 24, **changes: str) -> Generator[Screen]:
    """A command on a terminal of that size, for the length of the block."""
    screen = Screen(terminal, words, columns=columns, rows=rows, **changes)
    try:
        yield screen
    finally:
        screen.close()
