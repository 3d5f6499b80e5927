"""The product's own source, as the tests of what is not in it read it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PACKAGES: Final = ("jobqueue", "board", "handlers")


@dataclass(frozen=True, slots=True)
class Source:
    """One file. `name` is its path from the project's root."""

    name: str
    tree: ast.Module

    def calls(self) -> Iterator[tuple[str, ast.Call]]:
        """Each call with the dotted name of what is called: `subprocess.run`, `.execute` of something, or ""."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Call):
                yield dotted(node.func), node

    def imports(self, module: str, name: str) -> bool:
        """True where `name` is what that module calls so."""
        return any(
            isinstance(node, ast.ImportFrom) and node.module == module and name in [one.name for one in node.names]
            for node in ast.walk(self.tree)
        )

    def at(self, node: ast.expr | ast.stmt) -> str:
        """Where that is, for a message."""
        return f"{self.name}:{node.lineno}"


@cache
def sources() -> tuple[Source, ...]:
    """Every Python file of the three packages."""
    paths = sorted(path for package in PACKAGES for path in (ROOT / package).rglob("*.py"))
    return tuple(Source(str(path.relative_to(ROOT)), ast.parse(path.read_text(encoding="utf-8"))) for path in paths)


def dotted(node: ast.expr) -> str:
    """`a.b.c` as it is written; what is before the first dot is left out where it is no name."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(value=value, attr=name):
            return f"{dotted(value)}.{name}"
        case _:
            return ""


def is_text_of_ours(node: ast.expr) -> bool:
    """True for a text that stands in the source: nothing from outside is in it."""
    match node:
        case ast.Constant(value=str()):
            return True
        case ast.JoinedStr(values=values):
            return all(is_text_of_ours(value) for value in values)
        case ast.FormattedValue(value=value):
            return isinstance(value, ast.Constant) or is_text_of_ours(value)
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return is_text_of_ours(left) and is_text_of_ours(right)
        case ast.Name(id=name) | ast.Attribute(attr=name) | ast.Subscript(value=ast.Name(id=name)):
            return name.isupper()
        case _:
            return False
