"""Plots: what happens in a life: what a person asks for, one thing after another, and whom he deals with."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final, Literal, NamedTuple, TypeAlias

from handlers.channel.states import State

Wish: TypeAlias = Literal["wait", "suspend", "unsuspend", "top up", "terminate", "withdraw"]


class Act(NamedTuple):
    """A wish, and the state in which the channel is to be before the next one; None does not wait."""

    wish: Wish
    until: State | None


@dataclass(frozen=True, slots=True)
class Plot:
    """A life in one line, the provider (see provider.py), and the acts after the channel was asked for."""

    title: str
    provider: str
    acts: tuple[Act, ...]


_USED = Act("wait", State.ACTIVE)

PLOTS: Final = (
    Plot(
        "used, suspended and used again, topped up, and closed by both sides",
        "prompt",
        (
            _USED,
            Act("suspend", State.SUSPENDED),
            Act("unsuspend", State.ACTIVE),
            Act("top up", State.ACTIVE),
            Act("terminate", State.CLOSED),
        ),
    ),
    Plot(
        "the provider answers to the last try only",
        "late",
        (_USED, Act("terminate", State.CLOSED)),
    ),
    Plot(
        "the provider answers to no try, and somebody has it tried again",
        "asleep",
        (_USED, Act("terminate", State.CLOSED)),
    ),
    Plot(
        "the provider signs nothing, so that one side closes alone",
        "unwilling",
        (_USED, Act("top up", State.ACTIVE), Act("terminate", State.SETTLED)),
    ),
    Plot(
        "given up before the deposit is sent",
        "prompt",
        (Act("withdraw", State.WITHDRAWN),),
    ),
    Plot(
        "terminated while something else was asked for, which is cancelled",
        "prompt",
        (_USED, Act("suspend", None), Act("terminate", State.CLOSED)),
    ),
)

TOO_LATE: Final = (_USED, Act("terminate", State.CLOSED))
"""What somebody does instead who wanted to withdraw, and whose deposit is on its way."""


def cast_of(channels: int, seed: int) -> list[Plot]:
    """A plot for each channel: each as often as any other, in an order that the seed decides."""
    dice, dealt = random.Random(seed), list[Plot]()
    while len(dealt) < channels:
        dealt += dice.sample(PLOTS, len(PLOTS))
    return dealt[:channels]
