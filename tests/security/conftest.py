"""Fixtures of the security tests: a folder with a service that is given secrets, and a terminal in it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from tests.cli.terminal import Terminal

SERVICE: Final = '''
"""A service that must not tell what it is given."""

import logging
import os
from pathlib import Path

from pydantic import BaseModel, SecretStr

from jobqueue import JobContext, Registry, make_job


class Login(BaseModel):
    user: str
    pin: SecretStr
    api_key: str = ""


@make_job(attempts=1)
async def login(ctx: JobContext, payload: Login) -> None:
    """Does with its job what a handler does that means no harm."""
    logging.getLogger("service").info("%r %r", ctx.job, payload.pin)
    ctx.log(f"{ctx.job!r} {payload.pin!r}")
    await ctx.enqueue_job("login", {"pin": payload.pin.get_secret_value(), "api_key": payload.api_key})


@make_job(attempts=1, run_in="process")
def apart(ctx: JobContext, payload: Login) -> str:
    """The same in a process of its own, whose words and environment it notes."""
    Path("words").write_bytes(Path("/proc/self/cmdline").read_bytes())
    logging.getLogger("service").info("%r", ctx.job)
    Login.model_validate({"pin": payload.pin})


registry = Registry([login, apart])
'''


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with the service."""
    folder = tmp_path / "service"
    folder.mkdir()
    (folder / "service.py").write_text(SERVICE, encoding="utf-8")
    return folder


@pytest.fixture
def terminal(folder: Path, redis_url: str, prefix: str, sqlite_url: str, jobqueue: Path) -> Terminal:
    """A terminal that knows Redis, the database and the service."""
    known = {"REDIS_URL": redis_url, "JOBS_PREFIX": prefix, "DATABASE_URL": sqlite_url}
    return Terminal(folder, known | {"JOBS_REGISTRY": "service:registry"}, jobqueue)
