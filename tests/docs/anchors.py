"""Links of a page, and the anchors that its headings have on GitHub."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docs.pages import name_of, prose_of

_LINK: Final = re.compile(r"!?\[(?:[^\[\]]|\[[^\]]*\]\([^)]*\))*\]\((?P<target>[^)\s]+)\)")
_NESTED: Final = re.compile(r"!\[[^\]]*\]\((?P<target>[^)\s]+)\)")
_HEADING: Final = re.compile(r"^#{1,6} +(?P<title>.+?) *#*$")
_LINK_TEXT: Final = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_CODE: Final = re.compile(r"`[^`]*`")
_ELSEWHERE: Final = re.compile(r"^[a-z][a-z+.-]*:")


@dataclass(frozen=True, slots=True)
class Link:
    """A link from a page to a file of the project, or to a place in one."""

    page: Path
    line: int
    target: str

    @property
    def place(self) -> str:
        return f"{name_of(self.page)}:{self.line} → {self.target}"

    @property
    def path(self) -> Path:
        path = self.target.partition("#")[0]
        return (self.page.parent / path).resolve() if path else self.page

    @property
    def anchor(self) -> str:
        return self.target.partition("#")[2]


def links_of(page: Path) -> Iterator[Link]:
    """All but those that lead out of the project."""
    for number, line in enumerate(prose_of(page), 1):
        prose = _CODE.sub("", line)
        found = (link["target"] for pattern in (_LINK, _NESTED) for link in pattern.finditer(prose))
        yield from (Link(page, number, target) for target in dict.fromkeys(found) if not _ELSEWHERE.match(target))


def anchors_of(page: Path) -> set[str]:
    """A title that comes again gets a number."""
    anchors: set[str] = set()
    for line in prose_of(page):
        heading = _HEADING.match(line)
        if heading is not None:
            anchor = number = _anchor(heading["title"])
            count = 0
            while number in anchors:
                count += 1
                number = f"{anchor}-{count}"
            anchors.add(number)
    return anchors


def _anchor(title: str) -> str:
    """As GitHub makes it: small letters, no signs, `-` for each space."""
    text = _LINK_TEXT.sub(r"\1", title).lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
