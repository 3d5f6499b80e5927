"""The handlers of R14: they say what they were given, and return next to nothing."""

from __future__ import annotations

import hashlib
import json
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from jobqueue import JobContext, Registry, make_job
from jobqueue.job import Keep
from scripts.chaos.ledger import Ledger

FAILS: Final = "fails as it should"
_ALL: Final = Keep()


class Order(BaseModel):
    """An order as it is today. Yesterday it was `{"count": 3, "note": "…"}`."""

    model_config = ConfigDict(extra="forbid")

    quantity: int
    currency: Literal["EUR", "CHF"]
    note: str = ""


class Letter(BaseModel):
    """A letter as it is today. Yesterday it had no `copies`."""

    text: str
    copies: int = 1


def digest(payload: object) -> str:
    """What tells one payload from another."""
    return hashlib.sha256(json.dumps(payload, sort_keys=True).encode()).hexdigest()[:16]


@make_job(name="good", keep_completed=_ALL, keep_failed=_ALL)
async def good(ctx: JobContext, number: int) -> str:
    """A job like any other."""
    Ledger.of_environment().start(ctx, str(number))
    return "good"


@make_job(name="anything", keep_completed=_ALL, keep_failed=_ALL)
async def anything(ctx: JobContext, payload: object) -> str:
    """Takes whatever it is given."""
    Ledger.of_environment().start(ctx, digest(payload))
    return "eaten"


@make_job(name="order", attempts=3, keep_completed=_ALL, keep_failed=_ALL)
async def order(ctx: JobContext, payload: Order) -> str:
    """Takes orders of today."""
    Ledger.of_environment().start(ctx, str(payload.quantity))
    return "ordered"


@make_job(name="letter", keep_completed=_ALL, keep_failed=_ALL)
async def letter(ctx: JobContext, payload: Letter) -> str:
    """Takes letters of today and of yesterday."""
    Ledger.of_environment().start(ctx, str(payload.copies))
    return "sent"


@make_job(name="failing", attempts=1, keep_completed=_ALL, keep_failed=_ALL)
async def failing(ctx: JobContext, payload: object) -> None:
    """Takes whatever it is given, and fails."""
    Ledger.of_environment().start(ctx, digest(payload))
    raise RuntimeError(FAILS)


registry = Registry([good, anything, failing, order, letter])
