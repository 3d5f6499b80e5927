"""Colours: whatever is read has the contrast of WCAG 2.2 AA on whatever it is read on, in light and in dark."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import board

SHEET = (Path(board.__file__).parent / "static" / "board.css").read_text(encoding="utf-8")
GROUNDS = ("page", "card", "sunken")
STATES = ("waiting", "prioritized", "delayed", "active", "completed", "failed", "children")
TEXTS = ("text", "quiet", "faint", "accent", *STATES)
TEXT_RATIO, SHAPE_RATIO = 4.5, 3.0


def colours(scheme: str) -> dict[str, str]:
    """Those of a scheme, by name; what dark does not change it has from light."""
    light, dark = re.findall(r":root \{([^}]*)\}", SHEET)[:2]
    named = re.compile(r"--([a-z-]+): (#[0-9a-f]{6});")
    return dict(named.findall(light)) | (dict(named.findall(dark)) if scheme == "dark" else {})


def luminance(colour: str) -> float:
    channels = (int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5))
    red, green, blue = (one / 12.92 if one <= 0.04045 else ((one + 0.055) / 1.055) ** 2.4 for one in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def ratio(one: str, other: str) -> float:
    darker, lighter = sorted((luminance(one), luminance(other)))
    return (lighter + 0.05) / (darker + 0.05)


def softened(tone: str, ground: str, share: float) -> str:
    """What color-mix in sRGB makes of a tone on its ground."""
    pairs = ((int(tone[at : at + 2], 16), int(ground[at : at + 2], 16)) for at in (1, 3, 5))
    return "#" + "".join(f"{round(one * share + other * (1 - share)):02x}" for one, other in pairs)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("ground", GROUNDS)
@pytest.mark.parametrize("text", TEXTS)
def test_text_can_be_read(scheme: str, ground: str, text: str) -> None:
    named = colours(scheme)
    assert ratio(named[text], named[ground]) >= TEXT_RATIO


@pytest.mark.parametrize(("scheme", "share"), [("light", 0.08), ("dark", 0.13)])
@pytest.mark.parametrize("tone", ["failed", "completed", "delayed"])
def test_a_callout_can_be_read_on_its_tinted_ground(scheme: str, share: float, tone: str) -> None:
    named = colours(scheme)
    ground = softened(named[tone], named["card"], share)
    assert ratio(named[tone], ground) >= TEXT_RATIO
    assert ratio(named["text"], ground) >= TEXT_RATIO


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_buttons_borders_and_marks_can_be_seen(scheme: str) -> None:
    named = colours(scheme)
    assert ratio(named["accent-text"], named["accent"]) >= TEXT_RATIO
    assert ratio(named["card"], named["failed"]) >= TEXT_RATIO
    for ground in GROUNDS:
        assert ratio(named["edge"], named[ground]) >= SHAPE_RATIO
    for shape in ("bar", "failed", "active", "prioritized"):
        assert ratio(named[shape], named["card"]) >= SHAPE_RATIO


def test_each_colour_is_named_once() -> None:
    rules = SHEET[SHEET.index("/* Ground */") : SHEET.index("@media print")]
    assert re.findall(r"#[0-9a-fA-F]{3,8}\b", rules) == []
