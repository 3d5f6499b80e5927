"""States: the life of a payment channel, as a table that reads like its diagram."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from jobqueue import JobqueueError


class State(StrEnum):
    """Where a channel is in its life."""

    PENDING = "pending"  # asked for; nothing was sent
    OPENING = "opening"  # the deposit is on its way to the chain
    OPEN = "open"  # the deposit is there
    CONNECTED = "connected"  # the provider has said where its service is
    ACTIVE = "active"  # it is used, and what is used is owed
    SUSPENDED = "suspended"  # it is not used for a while
    TERMINATED = "terminated"  # it is used no more; the deposit is still there
    CLOSING = "closing"  # both sides have signed what is owed
    CLOSED = "closed"
    REQUESTING = "requesting"  # one side alone has said what is owed
    CHALLENGED = "challenged"  # the other side may object, until its time is over
    SETTLING = "settling"  # it did not: the chain is asked to pay
    SETTLED = "settled"
    WITHDRAWN = "withdrawn"  # given up before anything was sent


class Transition(NamedTuple):
    """An arrow of the diagram: a job of this name moves a channel from one state to another."""

    at: State
    by: str
    to: State


S = State

TRANSITIONS: Final = (
    Transition(S.PENDING, "channelWithdraw", S.WITHDRAWN),
    Transition(S.PENDING, "preChannelCreate", S.OPENING),
    Transition(S.OPENING, "afterChannelCreate", S.OPEN),
    Transition(S.OPEN, "endpointCreate", S.CONNECTED),
    Transition(S.CONNECTED, "serviceActivate", S.ACTIVE),
    Transition(S.ACTIVE, "preChannelTopUp", S.ACTIVE),
    Transition(S.ACTIVE, "preServiceSuspend", S.SUSPENDED),
    Transition(S.SUSPENDED, "preServiceUnsuspend", S.ACTIVE),
    Transition(S.ACTIVE, "preServiceTerminate", S.TERMINATED),
    Transition(S.SUSPENDED, "preServiceTerminate", S.TERMINATED),
    # Both sides agree …
    Transition(S.TERMINATED, "preCooperativeClose", S.CLOSING),
    Transition(S.CLOSING, "afterCooperativeClose", S.CLOSED),
    # … or they do not.
    Transition(S.TERMINATED, "preUncooperativeCloseRequest", S.REQUESTING),
    Transition(S.REQUESTING, "afterUncooperativeCloseRequest", S.CHALLENGED),
    Transition(S.CHALLENGED, "preUncooperativeClose", S.SETTLING),
    Transition(S.SETTLING, "afterUncooperativeClose", S.SETTLED),
)

FINAL: Final = frozenset(State) - {arrow.at for arrow in TRANSITIONS}
"""The states that no arrow leaves."""

MOVERS: Final = frozenset(arrow.by for arrow in TRANSITIONS)
"""The jobs that change a channel's state. While one of a channel is unfinished, a person may ask for no other."""


class NotAllowed(JobqueueError):
    """A channel in this state does not take that step."""

    def __init__(self, state: State, by: str) -> None:
        steps = ", ".join(arrow.by for arrow in TRANSITIONS if arrow.at is state) or "nothing, its life is over"
        super().__init__(f"{by} is not for a channel that is {state}; possible is {steps}")
        self.state = state
        self.by = by


def after(state: State, by: str) -> State:
    """Where the job leads from here. Raises: NotAllowed."""
    for arrow in TRANSITIONS:
        if (arrow.at, arrow.by) == (state, by):
            return arrow.to
    raise NotAllowed(state, by)
