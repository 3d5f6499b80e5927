"""Filling: jobs of every kind and state, an hour of figures, cron jobs, and traffic that goes on."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from jobqueue import queue_acts, statistics
from jobqueue.app import App
from jobqueue.cron import CronJobs
from jobqueue.database import open_database
from jobqueue.flows import flow
from jobqueue.inspector import Inspector
from jobqueue.packing import pack
from jobqueue.scripts import own
from jobqueue.statistics import COMPLETED, FAILED, RAN, RETRIED, WAITED, WHOLE_QUEUE, bucket_of
from scripts.screenshots.shop import (
    STEPS,
    Catalog,
    Charge,
    Mail,
    Order,
    Picture,
    Report,
    build_report,
    charge_card,
    clean_carts,
    import_catalog,
    import_page,
    refresh_prices,
    resize_picture,
    send_email,
    sync_order,
    transcode_video,
)
from tests.support.eventually import eventually

_HERE: Final = Path(__file__).parents[2]
_DAY_MS: Final = 86_400_000
_MINUTE_MS: Final = 60_000
_PAST_MINUTES: Final = 60
_PAST_HOURS: Final = 24
_SUPPLIERS: Final = ("acme", "globex", "initech")
_TRAFFIC_S: Final = 0.35
_PACE: Final[dict[str, tuple[str, int, float, float]]] = {
    "emails": ("sendEmail", 90, 12.0, 95.0),
    "jobs": ("syncOrder", 40, 30.0, 210.0),
    "media": ("resizePicture", 12, 900.0, 2_100.0),
    "imports": ("importPage", 16, 80.0, 300.0),
}
"""Queue: the handler that is busiest, its jobs a minute, how long they wait and run (ms)."""


async def fill(app: App) -> None:
    """Everything that stands; what moves is `traffic`."""
    await app.client.call("HSET", app.queue("legacy-crm").keys.of("meta"), "version", "bullmq:5.41.0")
    await _past(app)
    await _cron_jobs(app)
    await _billing(app)
    await _media(app)
    await _orders(app)
    await _imports(app)
    reports = [Report(title=f"Revenue of January {day}", until=date(2026, 1, day)) for day in range(1, 24)]
    await app.enqueue_jobs([(build_report, report) for report in reports])
    unknown = [Mail(to=f"{name}@nowhere.example", template="welcome") for name in ("eve", "finn", "gus", "hal", "ida")]
    await app.enqueue_jobs([(send_email, mail) for mail in unknown])
    for hours, to in enumerate(("ann", "bob", "cem", "dora"), start=1):
        mail = Mail(to=f"{to}@shop.example", template="password reset")
        await app.enqueue_job(send_email, mail, delay_ms=hours * 3_600_000)
    await app.enqueue_job(clean_carts, priority=5, delay_ms=600_000)


async def traffic(app: App) -> None:
    """Some jobs a second, for ever."""
    while True:
        order = random.randint(10_000, 99_999)
        for _ in range(random.randint(1, 3)):
            await app.enqueue_job(send_email, Mail(to=f"customer{order}@shop.example", order=order))
        if random.random() < 0.4:
            await app.enqueue_job(sync_order, Order(order=order, changes=["paid"]), order_key=f"order:{order}")
        if random.random() < 0.1:
            await app.enqueue_job(resize_picture, Picture(file=f"product-{order}.jpg"))
        if random.random() < 0.1:
            await app.enqueue_job(import_page, Catalog(supplier=random.choice(_SUPPLIERS)))
        await asyncio.sleep(_TRAFFIC_S)


async def _billing(app: App) -> None:
    """Cards that were declined, then the queue was paused."""
    charges = [
        Charge(order=4_000 + number, amount_cents=random.randint(500, 90_000), card_token=SecretStr(f"tok_{number:06}"))
        for number in range(9)
    ]
    for charge in charges[:6]:
        await app.enqueue_job(charge_card, charge, related=("order", str(charge.order)), created_by="checkout")
    await eventually(lambda: _none_waits(app, "billing"))
    await queue_acts.pause(app.queue("billing"))
    await _move_stacks(app, "billing", len(charges))
    for charge in charges[6:]:
        await app.enqueue_job(charge_card, charge, related=("order", str(charge.order)), created_by="checkout")


async def _media(app: App) -> None:
    for name in ("keynote.mp4", "unboxing.mp4"):
        await app.enqueue_job(transcode_video, Picture(file=name), created_by="studio")
    pictures = [Picture(file=f"product-{number}.jpg") for number in range(1, 15)]
    await app.enqueue_jobs([(resize_picture, picture) for picture in pictures])


async def _orders(app: App) -> None:
    """Changes of one order stand in line, the first of them for a while."""
    for order in (7_041, 7_042):
        first = Order(order=order, changes=["address"])
        await app.enqueue_job(sync_order, first, order_key=f"order:{order}", delay_ms=1_800_000)
        for change in ("paid", "packed", "shipped"):
            await app.enqueue_job(sync_order, Order(order=order, changes=[change]), order_key=f"order:{order}")
    for supplier in _SUPPLIERS:
        await app.enqueue_job(refresh_prices, Catalog(supplier=supplier))
    unwanted = await app.enqueue_job(clean_carts, delay_ms=_DAY_MS)
    await app.cancel_job(unwanted.job_id, "the carts are being migrated")


async def _imports(app: App) -> None:
    for supplier in _SUPPLIERS:
        pages = [flow(import_page, Catalog(supplier=supplier, pages=page)) for page in range(1, 5)]
        if supplier == "globex":
            pages.append(flow(import_page, Catalog(supplier=supplier, pages=STEPS)))
        await app.enqueue_flow(flow(import_catalog, Catalog(supplier=supplier, pages=len(pages)), children=pages))


async def _cron_jobs(app: App) -> None:
    async with open_database(app.settings.database_url) as database:
        rows = CronJobs(app, database)
        what = "Carts that nobody has touched for a week."
        await rows.create(name="Clean carts", pattern="*/10 * * * *", handler="cleanCarts", description=what)
        await rows.create(
            name="Prices of acme",
            pattern="0 6 * * 1-5",
            timezone="Europe/Berlin",
            handler="refreshPrices",
            payload={"supplier": "acme"},
        )
        await rows.create(
            name="Monthly report",
            pattern="30 2 1 * *",
            timezone="America/New_York",
            handler="buildReport",
            payload={"title": "Month"},
            overlap="queue",
        )
        await rows.create(
            name="Catalog of globex",
            pattern="0 3 * * *",
            handler="importCatalog",
            payload={"supplier": "globex"},
            enabled=False,
        )


async def _move_stacks(app: App, queue: str, jobs: int) -> None:
    """Let errors look as if the shop were installed where shops are, not where these pictures are taken."""
    for number in range(1, jobs + 1):
        key = app.queue(queue).keys.job(str(number))
        stack: str | None = await app.client.call("HGET", key, "stacktrace")
        if stack is not None:
            await app.client.call("HSET", key, "stacktrace", stack.replace(str(_HERE), "/srv/shop"))


async def _none_waits(app: App, queue: str) -> bool:
    return not (await Inspector(app).queue(queue)).counts["waiting"]


# The past: figures as a worker would have counted them


async def _past(app: App) -> None:
    for queue, (handler, pace, wait_ms, run_ms) in _PACE.items():
        ages = [minute * _MINUTE_MS for minute in range(_PAST_MINUTES, -1, -1)]
        ages += [hour * 60 * _MINUTE_MS for hour in range(_PAST_HOURS, 1, -1)]
        for number, age_ms in enumerate(ages, start=1):
            hours = 1 if age_ms <= _PAST_MINUTES * _MINUTE_MS else 60
            rush = 1 + 0.5 * math.sin(age_ms / (11 * _MINUTE_MS)) + random.uniform(-0.15, 0.15)
            trouble = 0.25 if 14 <= age_ms // _MINUTE_MS <= 19 and queue == "emails" else 0.0
            counts = _figures(int(pace * rush * hours), trouble, wait_ms * (1 + 6 * trouble) * rush, run_ms)
            await _add(app, queue, number, age_ms, [(WHOLE_QUEUE, counts), (handler, counts)])


def _figures(jobs: int, trouble: float, wait_ms: float, run_ms: float) -> statistics.Counts:
    counts: statistics.Counts = {}
    failed = round(jobs * trouble)
    statistics.add(counts, {COMPLETED: jobs - failed, FAILED: failed, RETRIED: failed})
    for _ in range(min(jobs, 200)):
        statistics.add(counts, {WAITED + bucket_of(random.lognormvariate(math.log(wait_ms), 0.7)): 1})
        statistics.add(counts, {RAN + bucket_of(random.lognormvariate(math.log(run_ms), 0.4)): 1})
    return counts


async def _add(
    app: App, queue: str, number: int, age_ms: int, handlers: Sequence[tuple[str, statistics.Counts]]
) -> None:
    asked = {
        "number": number,
        "age": age_ms,
        "sentKeep": _DAY_MS,
        "most": statistics.MAX_HANDLERS,
        "others": statistics.OTHERS,
        "resolutions": statistics.RESOLUTIONS,
        "handlers": [(name, statistics.flat(counts)) for name, counts in handlers],
    }
    keys = app.queue(queue).keys
    await app.client.run(own("addStatistics"), [keys.statistics_sent("demo")], [keys.base, pack(asked)])
