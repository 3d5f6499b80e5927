"""A thousand jobs in each direction: none lost, none repeated, each with its own return value."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel

from jobqueue.app import App
from jobqueue.context import JobContext
from jobqueue.handler import Handler
from jobqueue.registry import Registry
from jobqueue.wrappers import make_job
from tests.conftest import MakeSettings
from tests.interop.node_peer import NewJob, NodePeer
from tests.interop.ours import working

JOBS = 1_000
LIMIT_S = 50


class Number(BaseModel):
    n: int


class Square(BaseModel):
    n: int
    square: int


class Ledger:
    """A file that each run of a job adds its id to; O_APPEND keeps the lines of several processes whole."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = os.open(path, os.O_APPEND | os.O_CREAT | os.O_WRONLY)

    def add(self, job_id: str) -> None:
        os.write(self._file, f"{job_id}\n".encode())

    def lines(self) -> list[str]:
        return self.path.read_text().splitlines()

    def close(self) -> None:
        os.close(self._file)

    def handler(self) -> Handler[Number]:
        """Writes down its job and returns the square of its number."""

        @make_job
        async def square(ctx: JobContext, payload: Number) -> Square:
            self.add(ctx.job.id)
            return Square(n=payload.n, square=payload.n**2)

        return square


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    ledger = Ledger(tmp_path / "ledger")
    yield ledger
    ledger.close()


async def test_a_thousand_jobs_of_node_are_run_by_us_once_each(
    node: NodePeer, settings: MakeSettings, ledger: Ledger
) -> None:
    # given
    await node.start_events()
    ids = await node.add_bulk([NewJob("square", {"n": n}) for n in range(JOBS)])

    # when
    async with working(settings(worker_concurrency=50), ledger.handler()):
        await node.wait_for_event("completed", count=JOBS, timeout_s=LIMIT_S)

    # then
    values = {result.id: result.returnvalue for result in await node.results()}
    assert sorted(ledger.lines()) == sorted(ids)
    assert values == {job_id: {"n": n, "square": n**2} for n, job_id in enumerate(ids)}


async def test_a_thousand_jobs_of_ours_are_run_by_node_once_each(
    node: NodePeer, settings: MakeSettings, ledger: Ledger
) -> None:
    # given
    await node.start_events()
    square = ledger.handler()
    async with App(Registry([square]), settings()) as app:
        results = await app.enqueue_jobs([(square, Number(n=n)) for n in range(JOBS)])
        ids = [result.job_id for result in results]

        # when
        await node.start_worker("ledger", {"path": str(ledger.path)}, opts={"concurrency": 50})
        await node.wait_for_event("completed", count=JOBS, timeout_s=LIMIT_S)

        # then: what Node returned is what it was given, and we read the same
        envelopes = [{"type": "adhoc", "payload": {"n": n}} for n in range(JOBS)]
        assert sorted(ledger.lines()) == sorted(ids)
        assert {result.id: result.returnvalue for result in await node.results()} == dict(
            zip(ids, envelopes, strict=True)
        )
        assert [await result.wait(10) for result in results] == envelopes


async def test_jobs_of_both_sides_on_one_queue_are_each_run_once_by_either_worker(
    node: NodePeer, settings: MakeSettings, ledger: Ledger
) -> None:
    # given
    await node.start_events()
    square = ledger.handler()
    async with working(settings(), square) as app:
        await node.start_worker("ledger", {"path": str(ledger.path)}, opts={"concurrency": 10})

        # when
        theirs = await node.add_bulk([NewJob("square", {"n": n}) for n in range(JOBS)])
        ours = [job.job_id for job in await app.enqueue_jobs([(square, Number(n=n)) for n in range(JOBS)])]
        await node.wait_for_event("completed", count=2 * JOBS, timeout_s=LIMIT_S)

    # then
    assert sorted(ledger.lines()) == sorted([*theirs, *ours])
    assert (await node.counts())["completed"] == 2 * JOBS
