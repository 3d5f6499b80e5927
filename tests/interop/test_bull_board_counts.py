"""bull-board's own server and our board show the same counts and the same jobs of one Redis."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

import httpx
import pytest
from pydantic import BaseModel

from jobqueue.app import App
from jobqueue.flows import flow
from jobqueue.inspector import Inspector
from jobqueue.job import State
from jobqueue.queue import Queue
from jobqueue.registry import Registry
from jobqueue.transitions import Claimant
from tests.conftest import MakeSettings
from tests.interop.node_peer import NodePeer
from tests.interop.ours import echo, fail, working

SECOND = "second"
PAGE = 10
STATES: tuple[State, ...] = (
    "waiting",
    "active",
    "prioritized",
    "delayed",
    "waiting-children",
    "completed",
    "failed",
)


class Job(BaseModel):
    id: str


class Shown(BaseModel):
    """A queue, as bull-board tells its own page of it; `jobs` are those of the state that was asked for."""

    name: str
    counts: dict[str, int]
    jobs: list[Job]


class Overview(BaseModel):
    queues: list[Shown]


@dataclass(frozen=True, slots=True)
class BullBoard:
    """bull-board over HTTP, as its own page asks it."""

    http: httpx.AsyncClient

    async def queue(self, name: str, state: State) -> Shown:
        asked = {"activeQueue": name, "status": state, "page": "1", "jobsPerPage": str(PAGE)}
        response = await self.http.get("/api/queues", params=asked)
        overview = Overview.model_validate_json(response.raise_for_status().content)
        return next(queue for queue in overview.queues if queue.name == name)


@pytest.fixture
async def bull_board(node: NodePeer) -> AsyncIterator[BullBoard]:
    async with httpx.AsyncClient(base_url=await node.start_board("jobs", SECOND)) as http:
        yield BullBoard(http)


@pytest.fixture
async def app(settings: MakeSettings, node: NodePeer) -> AsyncIterator[App]:
    """Two queues with jobs in each state, in one of them more than a page of some."""
    await node.start_events()
    async with working(settings(), echo, fail) as app:
        for number in range(PAGE + 3):
            await ended(node, (await app.enqueue_job(echo, number)).job_id, "completed")
        for number in range(3):
            await ended(node, (await app.enqueue_job(fail, number)).job_id, "failed")
    async with App(Registry([echo, fail]), settings()) as app:
        for queue in ("jobs", SECOND):
            await fill(app, queue)
        await claim(app.queue("jobs"))
        yield app


async def ended(node: NodePeer, job_id: str, event: str) -> None:
    await node.wait_for_event(event, job_id)


async def fill(app: App, queue: str) -> None:
    """Jobs that are not finished, in each state that a producer can bring about."""
    for number in range(PAGE + 2):
        await app.enqueue_job(echo, number, queue=queue)
    for number in range(3):
        await app.enqueue_job(echo, number, queue=queue, delay_ms=600_000 - number * 60_000)
        await app.enqueue_job(echo, number, queue=queue, priority=3 - number)
    await app.enqueue_flow(flow(echo, 1, children=[flow(echo, 2, queue=queue)], queue=queue))


async def claim(queue: Queue) -> None:
    """A job in the hands of a worker that is gone: it is in `active` for as long as a test needs."""
    await queue.claim(Claimant("token", "gone", 60_000))


THE_OTHER_WAY_ROUND: tuple[State, ...] = ("prioritized", "delayed")
"""Ours begin with the newest in every state; bull-board's here with the lowest priority, and the latest to run. Both
are the oldest of `fill`."""


async def ids(inspector: Inspector, queue: str, state: State) -> Sequence[str]:
    return [job.id for job in (await inspector.jobs(queue, state, 0, PAGE)).jobs]


COUNTS = (("jobs", (PAGE + 2, 1, 3, 3, 1, PAGE + 3, 3)), (SECOND, (PAGE + 3, 0, 3, 3, 1, 0, 0)))


@pytest.mark.parametrize(("queue", "expected"), COUNTS)
async def test_both_boards_count_the_same(app: App, bull_board: BullBoard, queue: str, expected: Sequence[int]) -> None:
    theirs = (await bull_board.queue(queue, "waiting")).counts
    ours = (await Inspector(app).queue(queue)).counts

    assert [ours[state] for state in STATES] == list(expected)
    assert [theirs[state] for state in STATES] == list(expected)


@pytest.mark.parametrize("queue", ["jobs", SECOND])
@pytest.mark.parametrize("state", STATES)
async def test_both_boards_show_the_same_first_page(app: App, bull_board: BullBoard, queue: str, state: State) -> None:
    theirs = [job.id for job in (await bull_board.queue(queue, state)).jobs]

    ours = await ids(Inspector(app), queue, state)
    assert theirs == (ours[::-1] if state in THE_OTHER_WAY_ROUND else ours)
