"""What is typed in a block of the terminal, and what the block shows of the answer."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from tests.docs.pages import Block

PROMPT: Final = "$ "
_HERE_DOCUMENT: Final = re.compile(r"<<-?\s*['\"]?(\w+)['\"]?")
_SERVER: Final = re.compile(
    r"^(?:\w+=\S+ )*"
    r"(?:jobqueue (?P<command>dev|serve|worker)|scripts/(?P<script>dev)|(?P<other>uvicorn|fastapi))\b(?!.*--help)"
)


@dataclass(frozen=True, slots=True)
class Typed:
    """A command as it is typed, over several lines perhaps, and the lines that are shown below it."""

    place: str
    text: str
    shown: tuple[str, ...]

    @property
    def first_line(self) -> str:
        return self.text.partition("\n")[0]

    @property
    def server(self) -> str | None:
        """What serves until it is told to stop: `worker`, or one that listens on the page's port."""
        found = _SERVER.match(self.text)
        return (found["command"] or found["script"] or found["other"]) if found else None

    @property
    def only_installs(self) -> bool:
        """It needs nothing behind it, which would leave its cron jobs in the page's database."""
        return self.text.startswith("pip install ")

    @property
    def shows_an_error(self) -> bool:
        return any(line.startswith("error:") for line in self.shown)


def commands_in(block: Block) -> list[Typed]:
    """Raises: ValueError for a console block that types nothing."""
    lines = block.source.splitlines()
    if any(line.startswith(PROMPT) for line in lines):
        return list(_after_prompts(block, lines))
    if block.language == "console":
        raise ValueError(f"{block.place}: what is typed stands behind `$ `")
    return list(_all_typed(block, lines))


def _after_prompts(block: Block, lines: list[str]) -> Iterator[Typed]:
    at = 0
    while at < len(lines):
        if not lines[at].startswith(PROMPT):
            raise ValueError(f"{block.place}: {lines[at]!r} is shown before anything is typed")
        start = at
        text, at = _whole(block, [lines[at].removeprefix(PROMPT), *lines[at + 1 :]], at)
        shown = at
        while at < len(lines) and not lines[at].startswith(PROMPT):
            at += 1
        yield Typed(_place(block, start), text, tuple(line for line in lines[shown:at] if line.strip()))


def _all_typed(block: Block, lines: list[str]) -> Iterator[Typed]:
    at = 0
    while at < len(lines):
        start = at
        text, at = _whole(block, lines[at:], at)
        if text and not text.startswith("#"):
            yield Typed(_place(block, start), text, ())


def _whole(block: Block, lines: list[str], at: int) -> tuple[str, int]:
    """The command that begins with the first of these lines, and the number of the line behind it."""
    for count in range(1, len(lines) + 1):
        text = "\n".join(lines[:count])
        if _is_whole(text):
            return text, at + count
    raise ValueError(f"{_place(block, at)}: this command has no end")


def _is_whole(text: str) -> bool:
    if text.endswith("\\"):
        return False
    document = _HERE_DOCUMENT.search(text)
    if document is not None:
        return text.splitlines()[-1] == document[1]
    try:
        shlex.split(text, comments=True)
    except ValueError:  # a quote is open
        return False
    return True


def _place(block: Block, at: int) -> str:
    return f"{block.place.rpartition(':')[0]}:{block.line + 1 + at}"
