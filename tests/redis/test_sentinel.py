"""Sentinel over real servers: producers, workers and subscriptions follow the master wherever it goes."""

from __future__ import annotations

import asyncio
import tempfile
import time
from collections.abc import AsyncGenerator, Generator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from jobqueue import JobContext, make_job
from jobqueue.errors import RedisUnavailable
from jobqueue.redis.client import Client
from jobqueue.redis.groups import SentinelLocator
from jobqueue.redis.locating import locator_for
from jobqueue.redis.retry import until_answered
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.processes import free_port
from tests.support.redis_groups import SERVICE, Sentinel, SentinelSet, ask, running_sentinels
from tests.support.redis_server import HOST, RedisServer, running_redis
from tests.worker.harness import Site, at_work

RESUMES_S = 10.0


@pytest.fixture
def sentinels() -> Iterator[SentinelSet]:
    with running_sentinels() as group:
        yield group


@asynccontextmanager
async def client_of(url: str) -> AsyncGenerator[Client]:
    client = Client(locator_for(url, "bull"))
    try:
        yield client
    finally:
        await client.close()


async def replicated(master: RedisServer) -> None:
    """Wait until the replica has everything that the master has been told so far."""
    async with master.client() as client:
        await client.set("last", "write")
        assert await client.wait(1, 5_000) == 1


async def strangers(server: RedisServer) -> list[str]:
    """The connections that are neither ours that asks, nor a sentinel's, nor replication."""
    async with server.client() as observer:
        clients = await observer.client_list()
    others = [one for one in clients if not one["name"].startswith("sentinel-") and one["flags"] not in ("S", "M")]
    return [one["cmd"] for one in others if one["cmd"] != "client|list"]


class Work:
    """Jobs that are active from before the failover until after it, and jobs that wait meanwhile."""

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.runs: list[int] = []

    async def run(self, ctx: JobContext, number: int) -> int:
        self.runs.append(number)
        await self.may_end.wait()
        return number


async def resumes(site: Site) -> None:
    """A producer that tries again is soon heard, its job run and its result told."""
    began_s = time.monotonic()
    job = await until_answered(lambda: site.app.enqueue_job("run", 100, job_id="after"))
    assert await job.wait(RESUMES_S) == 100
    assert time.monotonic() - began_s < RESUMES_S


async def test_a_killed_master_costs_no_job_that_its_replica_has(
    settings: MakeSettings, sentinels: SentinelSet
) -> None:
    work = Work()
    handler = make_job(work.run, name="run")
    ours = settings(redis_url=sentinels.url, worker_concurrency=4)

    async with at_work(ours, handler) as site:
        jobs = await site.app.enqueue_jobs([(handler, number) for number in range(20)])
        await eventually(lambda: len(work.runs) == 4)
        await replicated(sentinels.master)

        sentinels.master.kill()
        work.may_end.set()
        await resumes(site)

        assert [await job.wait(RESUMES_S) for job in jobs] == list(range(20))
        assert sorted(work.runs) == [*range(20), 100], "none lost, none run twice"


async def test_a_planned_failover_leaves_nobody_at_the_old_master(
    settings: MakeSettings, sentinels: SentinelSet
) -> None:
    """The old master is well and answers for some seconds more, but what it is told then is lost."""
    work = Work()
    handler = make_job(work.run, name="run")
    ours = settings(redis_url=sentinels.url, worker_concurrency=4)
    old = sentinels.master

    async def all_have_gone() -> bool:
        return not await strangers(old)

    async with at_work(ours, handler) as site:
        jobs = await site.app.enqueue_jobs([(handler, number) for number in range(20)])
        await eventually(lambda: len(work.runs) == 4)
        await replicated(old)

        sentinels.fail_over()
        await eventually(lambda: sentinels.master is not old)
        await eventually(all_have_gone, 4.0)
        work.may_end.set()
        await resumes(site)

        assert [await job.wait(RESUMES_S) for job in jobs] == list(range(20))
        assert sorted(work.runs) == [*range(20), 100], "none lost, none run twice"


# Where the master is


@contextmanager
def guarded_pair() -> Generator[str]:
    """A server and one sentinel, each with a password of its own; the URL has both."""
    with (
        running_redis(appendonly=False) as server,
        tempfile.TemporaryDirectory(prefix="sentinel-") as directory,
    ):
        sentinel = Sentinel(Path(directory), server)
        sentinel.start()
        for port, password in ((server.port, "of-redis"), (sentinel.port, "of-sentinel")):
            ask(port, "ACL", "SETUSER", "default", "resetpass", f">{password}")
        try:
            yield f"redis+sentinel://:of-redis@{HOST}:{sentinel.port}/{SERVICE}/3?sentinel_password=of-sentinel"
        finally:
            sentinel.stop()


async def test_servers_and_sentinels_have_logins_of_their_own() -> None:
    with guarded_pair() as url:
        async with client_of(url) as client:
            assert "db=3" in await client.call("CLIENT", "INFO")

        async with client_of(url.replace("of-sentinel", "wrong")) as client:
            with pytest.raises(RedisUnavailable, match=r"127\.0\.0\.1:\d+: invalid username-password pair"):
                await client.call("PING")

        async with client_of(url.replace(SERVICE, "nobody")) as client:
            with pytest.raises(RedisUnavailable, match=r"nobody \(sentinels 127.*No such master with that name"):
                await client.call("PING")


async def test_a_sentinel_that_is_gone_is_passed_over() -> None:
    with guarded_pair() as url:
        async with client_of(url.replace("@", f"@{HOST}:{free_port()},")) as client:
            assert await client.call("ECHO", "heard") == "heard"


async def test_sentinels_that_are_all_gone_do_not_take_the_connection_with_them() -> None:
    with guarded_pair() as url:
        locator = locator_for(url, "bull")
        assert isinstance(locator, SentinelLocator)
        master = await locator.locate(1.0)

    assert not await locator.has_left(master)
    with pytest.raises(RedisUnavailable):
        await locator.locate(1.0)


async def test_a_server_that_only_reads_is_left_and_every_caller_keeps_its_answer(own_redis: RedisServer) -> None:
    async with client_of(own_redis.url) as client, own_redis.client() as admin:
        before = await client.call("CLIENT", "ID")
        await admin.replicaof(HOST, str(own_redis.port))

        echoes = [client.call("ECHO", number) for number in range(100)]
        refused, slow = client.call("SET", "a", 1), client.call("XREAD", "BLOCK", 200, "STREAMS", "events", "$")
        answers = await asyncio.gather(*echoes[:50], refused, slow, *echoes[50:], return_exceptions=True)

        assert "READONLY" in str(answers[50])
        assert answers[51] is None, "it was answered long after the server had been left"
        assert [*answers[:50], *answers[52:]] == [str(number) for number in range(100)]
        assert await client.call("CLIENT", "ID") != before
