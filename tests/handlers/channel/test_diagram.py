"""The pictures in the documentation have the arrows of the table."""

from __future__ import annotations

import re
from pathlib import Path

from handlers.channel.diagram import FILE, PLACES, mermaid, svg
from handlers.channel.states import TRANSITIONS, State

PAGE = Path(__file__).parents[3] / "docs" / "channel.md"
ARROWS = {tuple(map(str, arrow)) for arrow in TRANSITIONS}
AGAIN = "run `python -m handlers.channel.diagram`"


def test_the_diagram_of_the_page_has_the_arrows_of_the_table() -> None:
    (drawn,) = re.findall(r"```mermaid\n(.*?)\n```", PAGE.read_text(encoding="utf-8"), re.DOTALL)

    arrows = re.findall(r"^ +(\w+) --> (\w+): (\w+)$", drawn, re.MULTILINE)

    assert {(at, by, to) for at, to, by in arrows} == ARROWS
    assert drawn == mermaid()


def test_the_picture_has_the_arrows_of_the_table() -> None:
    drawn = FILE.read_text(encoding="utf-8")

    titles = re.findall("<title>(.*?)</title>", drawn)

    assert {tuple(re.split(" by | to ", title)) for title in titles} == ARROWS
    assert drawn == svg(), AGAIN


def test_every_state_has_a_place_of_its_own() -> None:
    assert PLACES.keys() == set(State)
    assert len(set(PLACES.values())) == len(State)
