"""Chances: what goes wrong, drawn from a seed, so that the same accidents happen whenever the same seed is played."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

Accident: TypeAlias = Literal["refused", "answer lost"]

REFUSED: Final = 0.15
ANSWER_LOST: Final = 0.10


@dataclass(frozen=True, slots=True)
class Chances:
    """Each draw depends on the seed and on what it is about, and not on what was drawn before it."""

    seed: int

    def accident(self, *about: object) -> Accident | None:
        """What happens to a call to the chain."""
        drawn = self._draw(about)
        if drawn < REFUSED:
            return "refused"
        return "answer lost" if drawn < REFUSED + ANSWER_LOST else None

    def blocks(self, most: int, *about: object) -> int:
        """From 0 to `most`."""
        return int(self._draw(about) * (most + 1))

    def _draw(self, about: tuple[object, ...]) -> float:
        return random.Random(f"{self.seed} {about}").random()
