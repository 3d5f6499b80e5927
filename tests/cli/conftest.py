"""Fixtures of the command line: a folder with a service's handlers, and terminals in it."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.cli.terminal import Terminal
from tests.support.processes import free_port

SHOP = '''
"""A service's own handlers."""

import asyncio
import logging
import time
from pathlib import Path

from pydantic import BaseModel, SecretStr

from jobqueue import JobContext, Registry, fixed, make_job


class Order(BaseModel):
    number: int
    card: SecretStr = SecretStr("")


@make_job
async def order(ctx: JobContext, payload: Order) -> str:
    logging.getLogger("shop").info("packing %s", payload.number)
    return f"sent {payload.number}"


@make_job(duplicates="reject")
async def charge(ctx: JobContext) -> None:
    pass


@make_job(attempts=1)
async def refuse(ctx: JobContext) -> None:
    raise RuntimeError("out of stock")


@make_job(backoff=fixed(0), grace_ms=100)
async def slow(ctx: JobContext, payload: float) -> str:
    Path("started").touch()
    await asyncio.sleep(payload)
    return "done"


@make_job(grace_ms=100)
async def stubborn(ctx: JobContext) -> None:
    Path("started").touch()
    while True:
        try:
            await asyncio.sleep(600)
        except asyncio.CancelledError:
            pass


@make_job(grace_ms=100)
def deaf(ctx: JobContext) -> None:
    Path("started").touch()
    time.sleep(600)


@make_job(grace_ms=100)
async def threaded(ctx: JobContext) -> None:
    Path("started").touch()
    await asyncio.to_thread(time.sleep, 600)


registry = Registry([order, charge, refuse, slow, stubborn, deaf, threaded])
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the service `shop`."""
    folder = tmp_path / "shop"
    folder.mkdir()
    (folder / "shop.py").write_text(SHOP, encoding="utf-8")
    return folder


@pytest.fixture
def terminal(folder: Path, redis_url: str, prefix: str, sqlite_url: str, jobqueue: Path) -> Terminal:
    """A terminal that knows Redis, the database and the service."""
    return Terminal(
        folder,
        {
            "REDIS_URL": redis_url,
            "JOBS_PREFIX": prefix,
            "DATABASE_URL": sqlite_url,
            "JOBS_REGISTRY": "shop:registry",
        },
        jobqueue,
    )


@pytest.fixture
def bare_terminal(folder: Path, jobqueue: Path) -> Terminal:
    """A terminal where nothing is set."""
    return Terminal(folder, {}, jobqueue)


@pytest.fixture
def port() -> int:
    return free_port()
