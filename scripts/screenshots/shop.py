"""The shop: the handlers whose jobs the pictures show."""

from __future__ import annotations

import asyncio
import random
from datetime import date
from typing import Literal

from pydantic import BaseModel, Field, SecretStr

from jobqueue.context import JobContext
from jobqueue.policy import limit
from jobqueue.registry import Registry
from jobqueue.wrappers import make_job, make_singleton_job, make_superseding_job

STEPS = 40
_WORST_LUCK = 0.06


class Mail(BaseModel):
    """Who is written to, and what about."""

    to: str
    template: Literal["welcome", "receipt", "shipped", "password reset"] = "receipt"
    order: int | None = Field(default=None, ge=1)


class Order(BaseModel):
    order: int = Field(ge=1)
    changes: list[str] = []


class Charge(BaseModel):
    """A payment, with the secret by which it is made."""

    order: int = Field(ge=1)
    amount_cents: int = Field(ge=1, le=10_000_000)
    currency: Literal["EUR", "USD", "GBP"] = "EUR"
    card_token: SecretStr


class Picture(BaseModel):
    file: str
    widths: list[int] = [320, 960]


class Catalog(BaseModel):
    supplier: str
    pages: int = Field(default=3, ge=1, le=50)


class Report(BaseModel):
    title: str
    until: date | None = None


class MailServerBusy(Exception):
    """The mail server asks us to come back."""


class AddressRefused(Exception):
    """There is nobody of that name."""


class CardDeclined(Exception):
    """The bank said no."""


def _supplier(catalog: Catalog) -> str:
    return catalog.supplier


def _title(report: Report) -> str:
    return report.title


@make_job(name="sendEmail", queue="emails", attempts=2, backoff=400, unrecoverable=(AddressRefused,))
async def send_email(ctx: JobContext, payload: Mail) -> dict[str, str]:
    """Sends one mail."""
    ctx.log(f"connecting to mail.example for {payload.template!r}")
    await asyncio.sleep(random.uniform(0.03, 0.18))
    if payload.to.endswith("@nowhere.example"):
        raise AddressRefused(f"550 5.1.1 <{payload.to}>: no such user here")
    if random.random() < _WORST_LUCK:
        raise MailServerBusy("421 4.7.0 too many messages, try again later")
    return {"messageId": f"<{ctx.job.id}@mail.example>"}


@make_job(name="syncOrder", ordered=True, attempts=3, backoff=300)
async def sync_order(ctx: JobContext, payload: Order) -> dict[str, int]:
    """Tells the warehouse of an order; of one order, change by change."""
    await asyncio.sleep(random.uniform(0.05, 0.4))
    if random.random() < _WORST_LUCK / 2:
        raise TimeoutError(f"the warehouse did not answer for order {payload.order}")
    await ctx.enqueue_job(send_email, Mail(to=f"customer{payload.order}@shop.example", order=payload.order))
    return {"order": payload.order, "lines": random.randint(1, 9)}


@make_job(name="chargeCard", queue="billing", attempts=1, unrecoverable=(CardDeclined,))
async def charge_card(ctx: JobContext, payload: Charge) -> None:
    """Charges a card."""
    ctx.log(f"asking the bank for {payload.amount_cents / 100:.2f} {payload.currency}")
    await asyncio.sleep(0.05)
    raise CardDeclined(f"insufficient_funds: {payload.currency} {payload.amount_cents / 100:.2f}")


@make_job(name="resizePicture", queue="media", concurrency=limit(2), attempts=3)
async def resize_picture(ctx: JobContext, payload: Picture) -> list[str]:
    """Makes a picture in each of the widths."""
    for done in range(STEPS):
        ctx.progress(round(100 * done / STEPS))
        await asyncio.sleep(random.uniform(0.02, 0.09))
    return [f"{payload.file.removesuffix('.jpg')}-{width}.webp" for width in payload.widths]


@make_job(name="transcodeVideo", queue="media", attempts=1)
async def transcode_video(ctx: JobContext, payload: Picture) -> None:
    """Takes long, and says how far it is."""
    for done in range(STEPS * 10):
        ctx.raise_if_cancelled()
        ctx.progress(round(10 * done / STEPS))
        if not done % STEPS:
            ctx.log(f"{payload.file}: segment {done // STEPS + 1} of 10 is done, {1 + done // STEPS * 3} MB written")
        await asyncio.sleep(1.5)


@make_job(name="importCatalog", queue="imports")
async def import_catalog(ctx: JobContext, payload: Catalog) -> dict[str, int]:
    """Puts together what the pages brought."""
    await asyncio.sleep(0.1)
    return {"products": 40 * payload.pages}


@make_job(name="importPage", queue="imports", attempts=2, backoff=300)
async def import_page(ctx: JobContext, payload: Catalog) -> int:
    """Reads one page of a supplier's catalog."""
    await asyncio.sleep(random.uniform(0.1, 0.5))
    if payload.pages == STEPS:
        raise ValueError(f"{payload.supplier}: page 40 has no column 'price', but 'prix'")
    return 40


@make_singleton_job(name="refreshPrices", key=_supplier, on_busy="skip")
async def refresh_prices(ctx: JobContext, payload: Catalog) -> None:
    """Asks a supplier for its prices; one run a supplier at a time."""
    await asyncio.sleep(random.uniform(0.2, 0.8))


@make_superseding_job(name="buildReport", queue="reports", dedupe_key=_title)
async def build_report(ctx: JobContext, payload: Report) -> None:
    """Builds a report; a newer one of the same title takes its place."""


@make_job(name="cleanCarts")
async def clean_carts(ctx: JobContext) -> dict[str, int]:
    """Throws away carts that nobody came back to."""
    await asyncio.sleep(0.2)
    return {"removed": random.randint(0, 40)}


REGISTRY = Registry(
    [
        sync_order,
        refresh_prices,
        clean_carts,
        send_email,
        charge_card,
        resize_picture,
        transcode_video,
        import_catalog,
        import_page,
        build_report,
    ]
)
SERVED = ("jobs", "emails", "media", "imports", "billing")
"""What the worker serves. Nobody looks after the reports: the board should say so."""
