"""Is what a page shows of a command what the command says?"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

_PARTS: Final = re.compile(
    r"(?P<any>[0-9a-f]*…)|(?P<id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})|(?P<number>\d+)|(?P<space>\s+)"
)
_MEANING: Final = {"any": ".*", "id": r"[0-9a-f-]{36}", "number": r"\d+", "space": r"\s+"}


def is_said(shown: Sequence[str], said: str) -> bool:
    """Words and signs are compared exactly, numbers, UUIDs and spaces by their shape; `…` stands for anything, as
    `019b…` does for any id, and for any lines where it is alone on one.
    """
    expected = r"\n".join(_ANY_LINES if line.strip() == "…" else _pattern(line.strip()) for line in shown)
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return re.fullmatch(expected, "\n".join(lines)) is not None


_ANY_LINES: Final = r"[^\0]*?"


def _pattern(line: str) -> str:
    """A regular expression for one line."""
    made, at = "", 0
    for part in _PARTS.finditer(line):
        made += re.escape(line[at : part.start()]) + _MEANING[str(part.lastgroup)]
        at = part.end()
    return made + re.escape(line[at:])
