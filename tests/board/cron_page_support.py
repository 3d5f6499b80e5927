"""What the tests of the cron pages share: rows, forms as a browser sends them, and pages as a person reads them."""

from __future__ import annotations

import html
import re
from collections.abc import Mapping
from typing import cast

import httpx

from jobqueue.cron import CronFields, CronJob, CronJobs
from jobqueue.database import Database
from tests.board.cron_support import CronBoard

PAGES = "/bullBoard/cron"
NOWHERE = f"{PAGES}/0198c5a0-0000-7000-8000-000000000000"
MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"
YEARLY = "0 0 1 1 *"
FORM: Mapping[str, str] = {
    "name": "nightly",
    "job_id": "",
    "description": "",
    "pattern": "30 1 * * *",
    "timezone": "Europe/Vienna",
    "handler": "heartbeat",
    "payload": "",
    "priority": "0",
    "enabled": "yes",
    "max_attempts": "3",
    "backoff_ms": "5000",
    "overlap": "skip",
    "misfire": "run_once",
}
"""What the browser sends of a form that was hardly touched."""


def jobs_of(board: CronBoard) -> CronJobs:
    return CronJobs(board.app, board.database)


async def made(board: CronBoard, **fields: object) -> CronJob:
    """A cron job that fires once a year, but for these fields."""
    given = {"name": "nightly", "pattern": YEARLY, "handler": "heartbeat", **fields}
    return await jobs_of(board).create(**cast(CronFields, given))


async def spoil(database: Database, name: str, how: str) -> None:
    """What SQL can do to a row behind our back."""
    async with database.transaction() as session:
        await (await session.connection()).exec_driver_sql(f"UPDATE cron_job SET {how} WHERE name = '{name}'")


def words_of(answer: httpx.Response) -> str:
    """What stands on a page, without its markup, on one line."""
    return html.unescape(re.sub(r"\s+", " ", re.sub(r"<[^>]*>", " ", answer.text)))


def addresses_of(answer: httpx.Response) -> list[str]:
    return [html.unescape(one) for one in re.findall(r'(?:href|src|action)="([^"]*)"', answer.text)]


def value_of(answer: httpx.Response, name: str) -> str:
    """What a field of the page's form holds: an input's value, or the text of an area."""
    field = re.search(rf'<input[^>]*name="{name}"[^>]*?value="([^"]*)"', answer.text)
    area = re.search(rf'<textarea[^>]*name="{name}"[^>]*>\n?([^<]*)<', answer.text)
    found = field or area
    assert found is not None, f"the page has no field {name}"
    return html.unescape(found[1])
