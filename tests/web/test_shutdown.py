"""A service under `uvicorn`, stopped as a deployment stops it."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from jobqueue import App, Settings
from jobqueue.inspector import Inspector
from tests.support.eventually import eventually
from tests.support.processes import end, free_port, spawn
from tests.web.conftest import Environment
from tests.web.shop import registry

ROOT = Path(__file__).parents[2]


class Service:
    """A process of uvicorn with the shop, and a client that asks it."""

    def __init__(self, log: Path) -> None:
        port = free_port()
        command = [sys.executable, "-m", "uvicorn", "--factory", "tests.web.shop:create_service", "--port", str(port)]
        self.process = spawn([*command, "--timeout-graceful-shutdown", "10"], cwd=ROOT, log=log)
        self.client = httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", timeout=20)
        self.log = log

    async def is_ready(self) -> bool:
        assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
        try:
            return (await self.client.get("/ops/readyz")).status_code == 200
        except httpx.ConnectError:
            return False

    async def refuses_connections(self) -> bool:
        try:
            async with httpx.AsyncClient(base_url=self.client.base_url) as newcomer:
                await newcomer.get("/ops/healthz")
        except httpx.ConnectError:
            return True
        return False


@pytest.fixture
async def service(environment: Environment, tmp_path: Path) -> AsyncIterator[Service]:
    environment()
    service = Service(tmp_path / "uvicorn.log")
    try:
        await eventually(service.is_ready, 30)
        yield service
    finally:
        await service.client.aclose()
        end(service.process, signal.SIGKILL)


async def test_a_service_that_is_stopped_answers_its_requests_and_lets_its_jobs_end(service: Service) -> None:
    """The worker goes on while requests wait for its jobs, and stops after them."""
    async with App(registry, Settings.load()) as app:
        inspector = Inspector(app)
        waiting = asyncio.create_task(service.client.post("/packings", params={"seconds": 1, "wait_s": 10}))
        alone = (await service.client.post("/packings", params={"seconds": 2.5})).json()

        async def both_are_active() -> bool:
            return (await inspector.queue("jobs")).counts["active"] == 2

        await eventually(both_are_active)
        os.kill(service.process.pid, signal.SIGTERM)
        await eventually(service.refuses_connections)
        answer = await waiting

        assert (answer.status_code, answer.json()) == (200, "packed")
        assert (await inspector.job("jobs", alone)).state == "active"
        assert await asyncio.to_thread(service.process.wait, 10) in (0, -signal.SIGTERM)  # uvicorn ends by its signal
        assert (await inspector.job("jobs", alone)).state == "completed"
        assert service.log.read_text(encoding="utf-8").count("Traceback") == 0
