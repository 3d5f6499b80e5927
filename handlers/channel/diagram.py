"""Diagram: the table of transitions as a picture. `python -m handlers.channel.diagram` writes docs/channel.svg."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from handlers.channel.states import FINAL, TRANSITIONS, State, Transition

FILE: Final = Path(__file__).parents[2] / "docs" / "channel.svg"


class Point(NamedTuple):
    """Units: pixels, from the left and from the top."""

    x: float
    y: float


SIZE: Final = Point(900, 790)
HALF: Final = Point(58, 17)
"""Half of a box."""
APART: Final = 9
"""How far two arrows between the same boxes are from the line between these."""

PLACES: Final[Mapping[State, Point]] = {
    State.PENDING: Point(340, 40),
    State.WITHDRAWN: Point(640, 40),
    State.OPENING: Point(340, 118),
    State.OPEN: Point(340, 196),
    State.CONNECTED: Point(340, 274),
    State.ACTIVE: Point(340, 352),
    State.SUSPENDED: Point(640, 352),
    State.TERMINATED: Point(340, 480),
    State.CLOSING: Point(190, 580),
    State.CLOSED: Point(190, 658),
    State.REQUESTING: Point(520, 580),
    State.CHALLENGED: Point(520, 658),
    State.SETTLING: Point(520, 736),
    State.SETTLED: Point(800, 736),
}

STYLE: Final = """
  text { font: 13px ui-sans-serif, system-ui, sans-serif; fill: #1c2733; }
  .job { font-size: 12px; fill: #38506b; }
  rect.state { fill: #eef3f8; stroke: #5b7896; }
  rect.end { fill: #dcefe2; stroke: #4b8a62; }
  path { fill: none; stroke: #5b7896; marker-end: url(#head); }
"""


def mermaid(arrows: Sequence[Transition] = TRANSITIONS) -> str:
    """The diagram as text that Markdown pages draw."""
    lines = [f"    {one.at} --> {one.to}: {one.by}" for one in arrows]
    ends = [f"    {state} --> [*]" for state in State if state in FINAL]
    return "\n".join(["stateDiagram-v2", f"    [*] --> {State.PENDING}", *lines, *ends])


def svg(arrows: Sequence[Transition] = TRANSITIONS) -> str:
    """The diagram as a picture; each arrow's title says what the table says."""
    parts = [_arrow(one, has_twin=_has_twin(one, arrows)) for one in arrows]
    boxes = [_box(state, place) for state, place in PLACES.items()]
    head = (
        '<marker id="head" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8" orient="auto">'
        '<polygon points="0,0 8,4 0,8" fill="#5b7896"/></marker>'
    )
    size = f'width="{SIZE.x}" height="{SIZE.y}" viewBox="0 0 {SIZE.x} {SIZE.y}"'
    whole = f'<svg xmlns="http://www.w3.org/2000/svg" {size} role="img" aria-label="The life of a payment channel">'
    ground = '<rect width="100%" height="100%" rx="8" fill="#ffffff"/>'
    return _lines([whole, f"<style>{STYLE}</style>", f"<defs>{head}</defs>", ground, *parts, *boxes, "</svg>"])


def _lines(parts: Iterable[str]) -> str:
    return "\n".join(parts) + "\n"


def _has_twin(arrow: Transition, arrows: Iterable[Transition]) -> bool:
    return any((one.at, one.to) == (arrow.to, arrow.at) for one in arrows)


def _box(state: State, at: Point) -> str:
    corner, kind = Point(at.x - HALF.x, at.y - HALF.y), "state end" if state in FINAL else "state"
    size = f'width="{2 * HALF.x}" height="{2 * HALF.y}"'
    rect = f'<rect class="{kind}" x="{corner.x:g}" y="{corner.y:g}" {size} rx="8"/>'
    return f'{rect}<text x="{at.x:g}" y="{at.y + 4:g}" text-anchor="middle">{state}</text>'


def _arrow(arrow: Transition, *, has_twin: bool) -> str:
    start, end = PLACES[arrow.at], PLACES[arrow.to]
    if start == end:
        left = start.x - HALF.x
        path = f"M {left:g} {start.y - 8:g} C {left - 50:g} {start.y - 26:g}, {left - 50:g} {start.y + 26:g}, "
        path += f"{left:g} {start.y + 8:g}"
        return _drawn(arrow, path, Point(left - 46, start.y + 4), "end")
    length = math.dist(start, end)
    along = Point((end.x - start.x) / length, (end.y - start.y) / length)
    aside = Point(-along.y * APART, along.x * APART) if has_twin else Point(0, 0)
    tail, tip = _leaving(start, along, aside), _leaving(end, Point(-along.x, -along.y), aside)
    middle = Point((tail.x + tip.x) / 2, (tail.y + tip.y) / 2)
    path = f"M {tail.x:.1f} {tail.y:.1f} L {tip.x:.1f} {tip.y:.1f}"
    if abs(along.y) < abs(along.x) / 4:  # level: the name goes above, or below where another arrow is above
        below = has_twin and along.x > 0
        return _drawn(arrow, path, Point(middle.x, middle.y + (16 if below else -7)), "middle")
    if along.x < 0 and arrow.at is State.TERMINATED:  # the name of the arrow to the right needs the other side
        return _drawn(arrow, path, Point(middle.x - 22, middle.y + 4), "end")
    return _drawn(arrow, path, Point(middle.x + (22 if along.x else 10), middle.y + 4), "start")


def _leaving(box: Point, along: Point, aside: Point) -> Point:
    """Where a line from the middle of a box comes out of it."""
    inside = min(HALF.x / abs(along.x) if along.x else math.inf, HALF.y / abs(along.y) if along.y else math.inf)
    return Point(box.x + along.x * inside + aside.x, box.y + along.y * inside + aside.y)


def _drawn(arrow: Transition, path: str, label: Point, anchor: str) -> str:
    title = f"<title>{arrow.at} by {arrow.by} to {arrow.to}</title>"
    name = f'<text class="job" x="{label.x:.1f}" y="{label.y:.1f}" text-anchor="{anchor}">{arrow.by}</text>'
    return f'<g>{title}<path d="{path}"/>{name}</g>'


if __name__ == "__main__":
    FILE.write_text(svg(), encoding="utf-8")
