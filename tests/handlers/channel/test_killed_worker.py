"""A worker is killed with -9 in the middle of some lives."""

from __future__ import annotations

import asyncio
import io
import signal
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from rich.console import Console
from sqlalchemy import select

from handlers.channel.models import Sighting
from handlers.channel.play import play
from handlers.channel.stage import open_stage
from jobqueue import Settings
from jobqueue.database import Database
from tests.conftest import MakeSettings
from tests.patterns.working import serving
from tests.support.eventually import eventually
from tests.support.processes import end, spawn

PROJECT = Path(__file__).parents[3]
SHORT = {"worker_lock_ms": 1_000, "worker_stalled_ms": 100, "worker_shutdown_ms": 200}
SEED = 8
"""Of lives in which nobody cancels: a try that was killed and then cancelled has no end that a witness could see."""
TOLD = ("redis_url", "database_url", "jobs_prefix", *SHORT)


@contextmanager
def worker_process(settings: Settings, folder: Path) -> Generator[subprocess.Popen[bytes]]:
    variables = [f"{name.upper()}={getattr(settings, name)}" for name in TOLD]
    command = [
        "env",
        *variables,
        "JOBS_REGISTRY=handlers.channel:registry",
        sys.executable,
        "-m",
        "jobqueue.cli",
        "worker",
    ]
    process = spawn(command, cwd=PROJECT, log=folder / "worker.log")
    try:
        yield process
    finally:
        end(process, signal.SIGKILL)


async def cut_off(database: Database) -> set[str]:
    """The jobs of which a try began and has not ended."""
    async with database.transaction() as session:
        seen = (await session.scalars(select(Sighting).order_by(Sighting.number))).all()
    last = {one.job_id: one.what for one in seen}
    return {job_id for job_id, what in last.items() if what == "began"} if len(last) > 3 else set()


async def test_a_killed_worker_leaves_every_channel_in_order_and_loses_nothing(
    settings: MakeSettings, tmp_path: Path
) -> None:
    chosen, said = settings(**SHORT), io.StringIO()
    async with open_stage(chosen, {}, seed=SEED, block_s=0.05) as stage:
        playing = asyncio.create_task(play(stage, channels=2, seed=SEED, console=Console(file=said, width=200)))
        with worker_process(chosen, tmp_path) as worker:
            await eventually(lambda: cut_off(stage.desk.database), 30)
            worker.kill()
        left = await cut_off(stage.desk.database)

        async with serving(stage.app):
            kept = await playing

    assert left
    assert kept, said.getvalue()
