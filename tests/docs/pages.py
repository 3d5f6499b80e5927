"""The pages, and the blocks that stand on them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[2]
PAGES: Final = (ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md")))
"""Every page that has blocks to run; a new one needs no word here."""

_FENCE = re.compile(r"^(?P<indent> *)(?P<fence>`{3,}|~{3,})\s*(?P<language>[^\s`]*)")
_PATH = re.compile(r"^(?:#|//) (?P<path>[\w.-]+(?:/[\w.-]+)*\.(?:py|mjs|js|ts|toml|yaml|yml|json|env))$")


@dataclass(frozen=True, slots=True)
class Block:
    """A fenced block. `line` is that of its fence: the first line of `source` is the next one."""

    page: Path
    line: int
    language: str
    source: str

    @property
    def place(self) -> str:
        return f"{name_of(self.page)}:{self.line}"

    @property
    def file(self) -> str | None:
        """The path that its first line names, to which it is written."""
        named = _PATH.match(self.source.partition("\n")[0])
        return named["path"] if named else None


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def given_for(page: Path) -> str:
    """The module of `tests.docs.given` that belongs to the page."""
    return re.sub(r"\W", "_", page.relative_to(ROOT).with_suffix("").as_posix().removeprefix("docs/")).lower()


def blocks_of(page: Path) -> list[Block]:
    return list(_blocks(page, page.read_text(encoding="utf-8").splitlines()))


def all_blocks() -> Iterator[Block]:
    for page in PAGES:
        yield from blocks_of(page)


def prose_of(page: Path) -> list[str]:
    """The page's lines; those of blocks are empty, so that each keeps its number."""
    lines = page.read_text(encoding="utf-8").splitlines()
    for block in _blocks(page, lines):
        length = block.source.count("\n") + 2
        lines[block.line - 1 : block.line - 1 + length] = [""] * length
    return lines


def _blocks(page: Path, lines: list[str]) -> Iterator[Block]:
    at = 0
    while at < len(lines):
        fence = _FENCE.match(lines[at])
        at += 1
        if fence is None:
            continue
        start, closing = at, re.compile(rf"^ *{fence['fence']}{fence['fence'][0]}*\s*$")
        while at < len(lines) and not closing.match(lines[at]):
            at += 1
        if at == len(lines):
            raise ValueError(f"{name_of(page)}:{start}: this block has no end")
        source = "".join(f"{line.removeprefix(fence['indent'])}\n" for line in lines[start:at])
        yield Block(page, start, fence["language"].lower(), source)
        at += 1
