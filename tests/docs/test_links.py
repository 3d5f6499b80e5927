"""Links between the pages lead somewhere, and every page can be found."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from tests.docs.anchors import Link, anchors_of, links_of
from tests.docs.pages import PAGES, ROOT, name_of

INDEX = ROOT / "docs" / "README.md"
ALSO = [ROOT / "ARCHITECTURE.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "scripts").rglob("*.md"))]


def broken(links: Iterable[Link]) -> list[str]:
    return [link.place for link in links if not leads_somewhere(link)]


def leads_somewhere(link: Link) -> bool:
    if not link.path.exists():
        return False
    return not link.anchor or link.path.suffix != ".md" or link.anchor in anchors_of(link.path)


@pytest.mark.parametrize("page", [*PAGES, *ALSO], ids=name_of)
def test_the_links_of_a_page_lead_somewhere(page: Path) -> None:
    assert not broken(links_of(page))


def test_every_page_can_be_reached_from_readme_or_the_index() -> None:
    reached, waiting = set[Path](), [ROOT / "README.md", INDEX]
    while waiting:
        page = waiting.pop()
        if page not in reached and page.suffix == ".md" and page.exists():
            reached.add(page)
            waiting += [link.path for link in links_of(page)]
    assert not [name_of(page) for page in PAGES if page not in reached]


def test_the_index_has_a_line_for_each_page() -> None:
    listed = [link.path for link in links_of(INDEX)]
    pages = {page for page in PAGES if page.parent == INDEX.parent and page != INDEX}
    assert not [name_of(page) for page in pages if listed.count(page) != 1]


def test_a_link_that_leads_nowhere_would_be_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.docs.pages.ROOT", tmp_path)
    page = tmp_path / "page.md"
    page.write_text("# A `page`: of two\n[a](#a-page-of-two) [b](#c) [d](no.md) ![e](no.png)\n", encoding="utf-8")

    assert [place.partition(" → ")[2] for place in broken(links_of(page))] == ["#c", "no.md", "no.png"]
