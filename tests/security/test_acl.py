"""Each part of the product works as a user of Redis who may do what docs/security.md lists, and nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial

import httpx
import pytest
from pydantic import BaseModel
from redis import Redis as BlockingRedis
from redis.exceptions import NoPermissionError

from board import create_app
from handlers.heartbeat import heartbeat
from handlers.queue_cleanup import queue_cleanup
from jobqueue import (
    App,
    JobContext,
    JobNotInState,
    Registry,
    Worker,
    fixed,
    flow,
    limit,
    make_job,
    make_singleton_job,
    make_superseding_job,
)
from jobqueue.cli.environment import MIGRATIONS
from jobqueue.cron import CronJobs
from jobqueue.database import open_database
from jobqueue.doctor import examine
from jobqueue.upgrades import upgrade
from tests.board.route_list import listed
from tests.board.support import LOCAL, client_of
from tests.conftest import MakeSettings
from tests.security.acl import Guarded, watched
from tests.security.commands import ROLES, Commands, line_for, rules_in_the_document
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer

WAIT_S = 20.0
AT_TIMES = frozenset({"client|setname", "eval", "ping", "select", "xinfo|stream"})
"""To tell a connection's name and database, a script that was flushed a moment ago, a stream that was trimmed."""


class Load(BaseModel):
    resource: str


@make_job(attempts=2, backoff=fixed(1))
async def plain(ctx: JobContext, payload: int) -> int:
    ctx.log("at work")
    ctx.progress(payload)
    if payload < 0:
        raise ValueError("less than nothing")
    await ctx.enqueue_job(quiet, payload)
    return payload


@make_job
async def quiet(ctx: JobContext, payload: int) -> int:
    return payload


@make_superseding_job(dedupe_key=lambda payload: payload.resource, grace_ms=10)
async def load(ctx: JobContext, payload: Load) -> None:
    await ctx.signal.wait()


@make_singleton_job(on_busy="wait")
async def alone(ctx: JobContext) -> int | None:
    return ctx.fence


@make_job(ordered=True, rate_limit=(1_000, 1_000))
async def ordered(ctx: JobContext, payload: int) -> int:
    return payload


@make_job(concurrency=limit(1), duplicates="reject")
async def narrow(ctx: JobContext, payload: int) -> int:
    return payload


@make_job(ack="manual")
async def by_hand(ctx: JobContext) -> None:
    """Somebody else says that it is done."""


REGISTRY = Registry([plain, quiet, load, alone, ordered, narrow, by_hand, heartbeat, queue_cleanup])


@pytest.fixture
async def guarded(own_redis: RedisServer, prefix: str) -> Guarded:
    return Guarded(own_redis, prefix)


@pytest.fixture
async def database_url_of_all(sqlite_url: str) -> str:
    await upgrade(sqlite_url, MIGRATIONS)
    return sqlite_url


@asynccontextmanager
async def app_of(role: str, guarded: Guarded, settings: MakeSettings) -> AsyncGenerator[App]:
    """The app of a process that logs in as a role's user."""
    url = await guarded.add_user(role)
    async with App(REGISTRY, settings(redis_url=url, jobs_prefix=guarded.prefix, environment="local")) as app:
        yield app


@asynccontextmanager
async def working(guarded: Guarded, settings: MakeSettings) -> AsyncGenerator[App]:
    async with app_of("worker", guarded, settings) as app:
        worker = Worker(app)
        await worker.start()
        try:
            yield app
        finally:
            await worker.stop()


async def produce(app: App) -> None:
    """Everything that a service may ask of the library, with jobs that come to their end."""
    async with app.subscribe(handler=plain) as outcomes:
        results = [
            await app.enqueue_job(plain, 1),
            await app.enqueue_job(plain, 2, delay_ms=10, job_id="of my own"),
            await app.enqueue_job(plain, 3, priority=5),
            await app.enqueue_job(alone),
            await app.enqueue_job(narrow, 5, related=("order", "1")),
        ]
        results += [await app.enqueue_job(ordered, number, order_key="customer") for number in range(3)]
        await app.enqueue_jobs([(plain, number) for number in range(3)])
        tree = await app.enqueue_flow(flow(quiet, 0, children=[flow(quiet, 1), flow(quiet, 2, delay_ms=10)]))
        first = await app.enqueue_job(load, Load(resource="r"))
        second = await app.enqueue_job(load, Load(resource="r"))
        await asyncio.gather(*(result.wait(WAIT_S) for result in [*results, first]))
        await tree.wait(WAIT_S)
        await anext(outcomes)
    await stop(app, second.job_id)
    await fail_and_retry(app)
    await acknowledge(app)


async def stop(app: App, running: str) -> None:
    await app.cancel_job(running, "enough")
    late = await app.enqueue_job(plain, 4, delay_ms=60_000, related=("order", "2"))
    assert await app.cancel_jobs(related=("order", "2")) == {"jobs": (late.job_id,)}


async def fail_and_retry(app: App) -> None:
    bad = await app.enqueue_job(plain, -1)

    async def has_failed() -> bool:
        return (await app.queue().outcome(bad.job_id))[0] == "failed"

    await eventually(has_failed)
    await app.retry_job(bad.job_id)
    await eventually(has_failed)


async def acknowledge(app: App) -> None:
    held = await app.enqueue_job(by_hand)

    async def is_heard(say: Callable[[], Awaitable[None]]) -> bool:
        try:
            await say()
        except JobNotInState:  # it is not active yet, or not again
            return False
        return True

    await eventually(partial(is_heard, partial(app.requeue, held.job_id)))
    await eventually(partial(is_heard, partial(app.mark_done, held.job_id, {"done": True})))
    await held.wait(WAIT_S)


@pytest.mark.parametrize("role", list(ROLES))
def test_the_document_lists_what_the_source_may_send(role: str, redis_server: RedisServer) -> None:
    """Where this fails the source has changed: the line that the document must have is the first one here."""
    with BlockingRedis(port=redis_server.port, decode_responses=True) as client:
        sent = Commands.of(client).of_role(role)

    assert rules_in_the_document(role) == sent, line_for(role, sent)


async def test_a_worker_and_a_producer_work_under_their_rules(
    guarded: Guarded, settings: MakeSettings, database_url_of_all: str
) -> None:
    # given
    with BlockingRedis(port=guarded.server.port, decode_responses=True) as client:
        commands = Commands.of(client)
    async with (
        watched(guarded.server, commands) as seen,
        working(guarded, settings) as serving,
        app_of("producer", guarded, settings) as app,
        open_database(database_url_of_all) as database,
    ):
        await CronJobs(serving, database).create(name="soon", pattern="* * * * * *", handler="quiet", payload=1)

        # when
        await produce(app)

    # then
    assert await guarded.refused() == []
    needed = seen.of("producer") | AT_TIMES
    assert rules_in_the_document("producer") == needed, line_for("producer", needed)
    assert seen.of("worker") <= rules_in_the_document("worker")


async def test_the_board_shows_and_acts_under_its_rules(
    guarded: Guarded, settings: MakeSettings, database_url_of_all: str
) -> None:
    # given jobs in several states
    with BlockingRedis(port=guarded.server.port, decode_responses=True) as client:
        commands = Commands.of(client)
    async with working(guarded, settings) as serving:
        await produce(serving)

    # when
    async with (
        watched(guarded.server, commands) as seen,
        app_of("board", guarded, settings) as app,
        open_database(database_url_of_all) as database,
        client_of(create_app(app, database=database), LOCAL) as person,
    ):
        answers = [answer async for answer in looks_and_acts(app, person)]

    # then
    assert await guarded.refused() == []
    assert [answer for answer in answers if answer.is_server_error] == []
    assert sum(answer.is_success or answer.is_redirect for answer in answers) > len(answers) / 2
    assert seen.of("board") <= rules_in_the_document("board")


async def looks_and_acts(app: App, person: httpx.AsyncClient) -> AsyncIterator[httpx.Response]:
    """Every page and route, and every act."""
    waiting = [(await app.enqueue_job(plain, number, delay_ms=3_600_000)).job_id for number in range(4)]
    for route in listed(create_app(app)):
        if route.method == "GET" and "/live" not in route.path:
            yield await person.get(route.address.replace("heartbeat", "plain"))
    yield await person.get(f"/bullBoard/queues/jobs/jobs/{waiting[0]}")
    yield await person.get("/bullBoard/queues/jobs/delayed", params={"q": "plain"})
    jobs = "/api/admin/job"
    for word, job_id in zip(("promote", "cancel", "retry"), waiting, strict=False):
        yield await person.post(f"{jobs}/{job_id}/{word}")
    yield await person.delete(f"{jobs}/{waiting[3]}")
    yield await person.post(jobs, json={"handler": "load", "payload": {"resource": "r"}})
    yield await person.post("/bullBoard/handlers/quiet", data={"payload": "1"})
    yield await person.post(
        "/bullBoard/queues/jobs/jobs", data={"act": "remove", "id": [waiting[0]], "confirmed": "yes"}
    )
    queue = "/api/admin/queue/jobs"
    for word in ("pause", "resume", "retry-failed", "promote-delayed", "drain"):
        yield await person.post(f"{queue}/{word}", json={})
    yield await person.post(f"{queue}/clean", json={"state": "failed"})
    cron = "/api/admin/cronJob"
    made = await person.post(cron, json={"name": "soon", "pattern": "0 3 * * *", "handler": "quiet", "payload": 1})
    yield made
    row = f"{cron}/{made.json()['data']['id']}"
    yield await person.patch(row, json={"pattern": "0 4 * * *"})
    yield await person.post(f"{row}/trigger")
    yield await person.delete(row)


async def test_the_doctor_looks_under_its_rules(
    guarded: Guarded, settings: MakeSettings, database_url_of_all: str
) -> None:
    async with working(guarded, settings) as serving:
        await produce(serving)

    async with app_of("doctor", guarded, settings) as app:
        checks = await examine(app, MIGRATIONS)

    assert await guarded.refused() == []
    assert [check for check in checks if "NOPERM" in check.detail] == []
    assert database_url_of_all


async def test_nobody_may_do_more_than_his_work(guarded: Guarded) -> None:
    for role in ("producer", *ROLES):
        with BlockingRedis.from_url(await guarded.add_user(role)) as client:
            for refused in ("FLUSHALL", "CONFIG GET *", "KEYS *", "SHUTDOWN", "ACL LIST", "SWAPDB 0 1", "SCRIPT FLUSH"):
                with pytest.raises(NoPermissionError):
                    client.execute_command(*refused.split(" "))
            for other in ("bull:jobs:meta", "session:1"):
                with pytest.raises(NoPermissionError):
                    client.hget(other, "version")
