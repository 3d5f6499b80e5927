"""View: what the person looks at, and what a key makes of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Literal, TypeAlias

Verb = Literal["pause", "resume"]


@dataclass(frozen=True, slots=True)
class Quit:
    """The person has seen enough."""


@dataclass(frozen=True, slots=True)
class Change:
    """A queue is to be paused or resumed."""

    verb: Verb
    queue: str


Wish: TypeAlias = Quit | Change


@dataclass(frozen=True, slots=True)
class View:
    """`selected` is the name of a queue; `opened` whether its active jobs are shown; `asked` what waits for a yes."""

    selected: str | None = None
    opened: bool = False
    asked: Change | None = None
    message: str = ""

    def of(self, names: Sequence[str]) -> View:
        """The same, with a queue selected that there is."""
        if self.selected in names:
            return self
        return replace(self, selected=names[0] if names else None, opened=False)


STEPS: Final = {"up": -1, "k": -1, "down": 1, "j": 1}


def pressed(view: View, key: str, names: Sequence[str], paused: frozenset[str]) -> tuple[View, Wish | None]:
    """What the person looks at after a key, and what he wants done."""
    view = replace(view.of(names), message="")
    if view.asked is not None:
        return replace(view, asked=None), view.asked if key in ("y", "Y") else None
    match key:
        case "q" | "Q":
            return view, Quit()
        case "enter":
            return replace(view, opened=not view.opened and view.selected is not None), None
        case "escape" | "backspace":
            return replace(view, opened=False), None
        case "p" | "P" if view.selected is not None:
            verb: Verb = "resume" if view.selected in paused else "pause"
            return replace(view, asked=Change(verb, view.selected)), None
        case _ if key in STEPS and view.selected is not None:
            place = names.index(view.selected) + STEPS[key]
            return replace(view, selected=names[min(max(place, 0), len(names) - 1)]), None
        case _:
            return view, None
