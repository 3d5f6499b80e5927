"""Scripts: the Lua that the pinned bullmq package ships, and ours around it."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

_INCLUDE = "-- include "


@dataclass(frozen=True, slots=True)
class Script:
    """One Lua script as Redis knows it: its text and the SHA1 of the text."""

    name: str
    text: str
    sha: str

    @classmethod
    def of(cls, name: str, text: str) -> Script:
        return cls(name, text, hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest())


@cache
def shipped(name: str) -> Script:
    """A script of BullMQ's by its word, unchanged. Source: bullmq/commands/{name}-{keys}.lua."""
    commands = files("bullmq") / "commands"
    matches = [entry for entry in commands.iterdir() if entry.name.rpartition("-")[0] == name]
    if len(matches) != 1:
        raise LookupError(f"the bullmq package ships no script {name!r}; is it the pinned version?")
    return Script.of(name, _read(matches[0]))


@cache
def own(name: str) -> Script:
    """A script of ours. Source: jobqueue/lua/{name}.lua."""
    return Script.of(name, _read_own(name))


@cache
def around(name: str, shipped_name: str, *others: str) -> Script:
    """A script of ours that contains shipped ones unchanged, as local functions of their KEYS and ARGV: the first is
    named `shipped`, the others by their words.

    The keys and arguments of the first come first, ours after them, counted from the end.
    """
    functions = {"shipped": shipped_name} | {other: other for other in others}
    inner = (f"local function {word}(KEYS, ARGV)\n{shipped(of).text}\nend" for word, of in functions.items())
    text = "\n".join([*inner, _read_own(name)])
    return Script.of(f"{name}({shipped_name})", text)


def _read_own(name: str) -> str:
    """A file of ours; a line `-- include OTHER` stands for the text of OTHER."""
    lines = _read(files("jobqueue") / "lua" / f"{name}.lua").splitlines()
    parts = [_read_own(line.removeprefix(_INCLUDE)) if line.startswith(_INCLUDE) else line for line in lines]
    return "\n".join(parts)


def _read(entry: Traversable) -> str:
    return entry.read_text(encoding="utf-8")
