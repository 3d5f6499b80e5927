"""The commands of Redis that a part of the product may send, read out of its source, as rules for an ACL.

`python -m tests.security.commands` prints the lines that docs/security.md must have.
"""

from __future__ import annotations

import ast
import re
import sys
from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Final, cast

from redis import Redis

from jobqueue.scripts import Script, own, shipped
from tests.support.redis_server import running_redis

ROOT: Final = Path(__file__).parents[2]
DOCUMENT: Final = ROOT / "docs" / "security.md"

# Whoever runs handlers, and whoever shows and acts: what both build on, and a room of each one's own.
_NOBODYS: Final = ("bench", "cli", "embedded.py", "leash.py", "binary.py", "groups.py", "testing")
ROLES: Final = {
    "worker": ("inspector", "doctor"),
    "board": ("worker", "outbox", "doctor"),
    "doctor": ("worker", "outbox", "inspector", "cron"),
}
"""The rooms of `jobqueue` that a role does not need."""

_WORD_OF_LUA = re.compile(r"""["']([A-Z]+)["']""")
_COMMENT_OF_LUA = re.compile(r"--\[\[.*?\]\]|--[^\n]*", re.DOTALL)
_NAMES_A_SCRIPT: Final = frozenset({"own", "shipped", "around", "_end"})
_OF_ADDING: Final = ("addStandardJob", "addDelayedJob", "addPrioritizedJob", "addParentJob")
_INCLUDED_BY_NAME: Final = {"jobqueue/queue.py": _OF_ADDING}
"""Scripts that are chosen by a name that is worked out."""


class Commands:
    """The commands that a server knows, and those of them that a text names."""

    def __init__(self, known: Iterable[str]) -> None:
        listed = {name.upper() for name in known}
        self._plain = {name for name in listed if "|" not in name}
        self._with_a_word = {name.partition("|")[0] for name in listed if "|" in name}

    @classmethod
    def of(cls, client: Redis) -> Commands:
        return cls(map(str, cast(list[str], client.command_list())))

    def of_role(self, role: str) -> frozenset[str]:
        """What all files of a role may send, in the form that an ACL takes."""
        return frozenset(rule for path in _files_of(role) for rule in self._of_file(path))

    def of_script(self, script: Script) -> frozenset[str]:
        """What a script calls by name. BullMQ's take one of two names, which stand there as words too."""
        words = _WORD_OF_LUA.findall(_COMMENT_OF_LUA.sub("", script.text))
        return frozenset(word.lower() for word in words if word in self._plain)

    def rule_for(self, words: tuple[str, ...]) -> str:
        """The rule that allows a command."""
        name = words[0].upper()
        return (f"{name}|{words[1]}" if name in self._with_a_word and len(words) > 1 else name).lower()

    def _of_file(self, path: Path) -> Iterator[str]:
        tree = ast.parse(path.read_text(encoding="utf-8"))
        for node in ast.walk(tree):
            match node:
                case ast.Call() if _name_of(node) in _NAMES_A_SCRIPT:
                    for name in _texts(node.args):
                        yield from self.of_script(script_named(name))
                case ast.Call() | ast.Tuple():
                    yield from self._in_order(node.args if isinstance(node, ast.Call) else node.elts)
                case ast.IfExp():  # the one command or the other
                    yield from self._in_order([node.body])
                    yield from self._in_order([node.orelse])
                case _:
                    continue
        for name in _INCLUDED_BY_NAME.get(str(path.relative_to(ROOT)), ()):
            yield from self.of_script(script_named(name))

    def _in_order(self, nodes: list[ast.expr]) -> Iterator[str]:
        """A command is the first text of a call, or of a tuple that is sent later; its second word may follow it."""
        values = [node.value if isinstance(node, ast.Constant) else None for node in [*nodes, ast.Constant(None)]]
        for first, second in pairwise(values):
            if isinstance(first, str) and first in self._plain:
                yield self.rule_for((first, second) if isinstance(second, str) else (first,))


def script_named(name: str) -> Script:
    """A script of ours, or of BullMQ's."""
    return own(name) if (ROOT / "jobqueue" / "lua" / f"{name}.lua").exists() else shipped(name)


def rules_in_the_document(role: str) -> frozenset[str]:
    """What docs/security.md allows the user of that role."""
    return frozenset(word[1:] for word in line_in_the_document(role).split() if word.startswith("+"))


def line_in_the_document(role: str) -> str:
    """The line of an ACL file that docs/security.md has for a role. Raises: LookupError."""
    start = f"user jobqueue-{role} "
    lines = DOCUMENT.read_text(encoding="utf-8").splitlines()
    found = next((line for line in lines if line.startswith(start)), None)
    if found is None:
        raise LookupError(f"{DOCUMENT} has no line that begins with {start!r}")
    return found


def line_for(role: str, rules: Iterable[str]) -> str:
    """The line that docs/security.md should have."""
    return f"user jobqueue-{role} on >SECRET ~bull:* &bull:* -@all {' '.join(f'+{rule}' for rule in sorted(rules))}"


def _files_of(role: str) -> Iterator[Path]:
    left_out = {*_NOBODYS, *ROLES[role]}
    folders = [ROOT / "jobqueue", ROOT / "board"] if role == "board" else [ROOT / "jobqueue"]
    for folder in folders:
        for path in sorted(folder.rglob("*.py")):
            is_http = folder.name == "board" and path.name != "hearing.py"
            if not is_http and left_out.isdisjoint(path.relative_to(folder).parts):
                yield path


def _name_of(call: ast.Call) -> str:
    match call.func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
        case _:
            return ""


def _texts(nodes: Iterable[ast.expr]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


def main() -> None:
    """Print the lines of both roles."""
    with running_redis(appendonly=False) as server, Redis(port=server.port, decode_responses=True) as client:
        commands = Commands.of(client)
        for role in ROLES:
            sys.stdout.write(f"{line_for(role, commands.of_role(role))}\n")


if __name__ == "__main__":
    main()
