"""Harmless: text from anywhere as a terminal or a log may show it, which can neither move a cursor nor forge a line."""

from __future__ import annotations

import re
from typing import Final

INDENT: Final = "    "

_OBEYED: Final = "\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff"
"""What some terminal obeys or does not show: control characters, those that turn the direction of a text, what has no
width, and halves of a surrogate pair, which cannot be written at all."""
_ECHO: Final = ", with args beginning with"
_UNSEEN = re.compile(f"[\x00-\x1f{_OBEYED}]+")
_UNSEEN_IN_LINES = re.compile(f"[\x00-\x08\x0b-\x1f{_OBEYED}]")
_UNSEEN_IN_JSON = re.compile(f"[{_OBEYED}]")


def one_line(text: str) -> str:
    """The text on one line; what cannot be seen is a space."""
    return _UNSEEN.sub(" ", text).strip()


def indented(text: str) -> str:
    """The text on as many lines as it has, all but the first indented, and what cannot be seen spelled out."""
    return _UNSEEN_IN_LINES.sub(_spelled_out, text.replace("\r\n", "\n")).replace("\n", f"\n{INDENT}")


def json_text(document: str) -> str:
    """The same JSON document, with escapes for what JSON allows as it is and a terminal obeys."""
    return _UNSEEN_IN_JSON.sub(_spelled_out, document)


def without_echo(answer: str) -> str:
    """An error of Redis without the arguments of a command that it does not know: a password may be among them."""
    return answer.partition(_ECHO)[0]


def _spelled_out(found: re.Match[str]) -> str:
    return f"\\u{ord(found.group()):04x}"
