"""Cluster over real servers: a queue lives on the node that has its slot, and is followed when the slot moves."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from pydantic import BaseModel

from jobqueue import App, JobContext, Registry, make_job, make_singleton_job, make_superseding_job
from jobqueue.errors import RedisReplyError, RedisUnavailable, SettingsError
from jobqueue.job import Enqueued
from jobqueue.redis.client import Client, Timeouts
from jobqueue.redis.connection import MAX_IN_FLIGHT
from jobqueue.redis.locating import locator_for
from jobqueue.redis.retry import is_passing, until_answered
from jobqueue.scripts import Script
from tests.conftest import MakeSettings
from tests.redis.test_client import write_certificate
from tests.support.processes import free_port
from tests.support.redis_groups import RedisCluster, ask, running_cluster
from tests.support.redis_server import HOST, RedisServer
from tests.worker.harness import at_work

ECHO = Script.of("echo", "return {redis.call('INCR', KEYS[1]), ARGV[1]}")
HERE = Path(__file__).parent
NODE_MODULES = HERE.parent / "interop" / "node_modules"


@pytest.fixture(scope="module")
def cluster() -> Iterator[RedisCluster]:
    with running_cluster() as running:
        yield running


@pytest.fixture
def tag(prefix: str) -> str:
    """A prefix of this test's own that keeps its queues on one node."""
    return f"{{{prefix}}}"


@asynccontextmanager
async def client_of(url: str, prefix: str) -> AsyncGenerator[Client]:
    """With time to connect while thousands of callers keep the event loop busy."""
    client = Client(locator_for(url, prefix), timeouts=Timeouts(connect_s=10.0, call_s=20.0))
    try:
        yield client
    finally:
        await client.close()


async def echo(ctx: JobContext, value: str) -> str:
    return value


# A queue on a cluster


async def test_jobs_run_on_whichever_node_has_their_queue(settings: MakeSettings, cluster: RedisCluster) -> None:
    tags = ("{a}", "{b}", "{c}")
    assert len({cluster.owner(cluster.slot(tag)).port for tag in tags}) == 3, "each on a node of its own"

    for tag in tags:
        async with at_work(settings(redis_url=cluster.url, jobs_prefix=tag), make_job(echo)) as site:
            jobs = await site.app.enqueue_jobs([("echo", f"{tag} {number}") for number in range(20)])
            assert [await job.wait(10) for job in jobs] == [f"{tag} {number}" for number in range(20)]


class Page(BaseModel):
    key: str
    number: int


async def test_superseding_jobs_and_singletons_work_on_a_cluster(
    settings: MakeSettings, cluster: RedisCluster, tag: str
) -> None:
    started = asyncio.Event()

    async def sync(ctx: JobContext, payload: Page) -> int:
        if payload.number == 1:
            started.set()
            await ctx.signal.wait()
        return payload.number

    async def alone(ctx: JobContext) -> bool:
        return ctx.fence is not None

    superseding = make_superseding_job(sync, name="sync", dedupe_key=lambda page: page.key)
    handlers = (superseding, make_singleton_job(alone))
    async with at_work(settings(redis_url=cluster.url, jobs_prefix=tag), *handlers) as site:
        first = await site.app.enqueue_job(superseding, Page(key="a", number=1))
        await started.wait()
        second = await site.app.enqueue_job(superseding, Page(key="a", number=2))

        assert second.superseded == first.job_id
        assert await first.wait(10) == {"superseded": True, "by": second.job_id}
        assert await second.wait(10) == 2
        assert await (await site.app.enqueue_job("alone")).wait(10) is True


async def test_node_bullmq_with_the_same_prefix_works_on_the_same_queues(
    settings: MakeSettings, cluster: RedisCluster, tag: str
) -> None:
    ours = settings(redis_url=cluster.url, jobs_prefix=tag, jobs_queue="ours")

    async with at_work(ours, make_job(echo)) as site:
        await site.app.enqueue_job("echo", "from python", queue="theirs")
        node = await asyncio.create_subprocess_exec(
            *("node", str(HERE / "cluster_peer.mjs"), str(NODE_MODULES), str(cluster.nodes[0].port), tag),
            stdout=asyncio.subprocess.PIPE,
        )
        async with asyncio.timeout(30):
            output, _ = await node.communicate()

    assert json.loads(output) == {"payload": "from python", "returned": "from node"}


# A slot that moves


async def enqueue(app: App, number: int) -> Enqueued:
    """With an id, so that a producer may ask as often as it likes."""
    return await app.enqueue_job("work", number, job_id=f"job-{number}")


async def test_a_queue_whose_slot_moves_under_load_loses_nothing_and_runs_nothing_twice(
    settings: MakeSettings, cluster: RedisCluster, tag: str
) -> None:
    runs: list[int] = []

    async def work(ctx: JobContext, number: int) -> int:
        runs.append(number)
        await asyncio.sleep(0.02)  # the work
        return number

    slot = cluster.slot(tag)
    before = cluster.owner(slot)
    async with at_work(settings(redis_url=cluster.url, jobs_prefix=tag, worker_concurrency=4), make_job(work)) as site:
        moving = asyncio.ensure_future(asyncio.to_thread(cluster.move, slot, batches_each_s=0.02))
        jobs = [await until_answered(partial(enqueue, site.app, number)) for number in range(100)]
        await moving
        jobs.append(await until_answered(partial(enqueue, site.app, 100)))

        assert cluster.owner(slot) is not before
        assert [await job.wait(10) for job in jobs] == list(range(101))
        assert sorted(runs) == list(range(101)), "none lost, none run twice"


async def test_a_producer_waits_for_a_slot_that_moves_and_adds_its_job_once(
    settings: MakeSettings, cluster: RedisCluster, tag: str
) -> None:
    slot = cluster.slot(tag)
    source = cluster.owner(slot)
    target_id = ask(cluster.another(source).port, "CLUSTER", "MYID")[0]

    async with App(Registry([make_job(echo)]), settings(redis_url=cluster.url, jobs_prefix=tag)) as app:
        ask(source.port, "CLUSTER", "SETSLOT", str(slot), "MIGRATING", target_id)
        adding = asyncio.ensure_future(app.enqueue_job("echo", "at last"))
        await asyncio.wait({adding}, timeout=0.3)  # the subject: a while in which no node takes it
        ask(source.port, "CLUSTER", "SETSLOT", str(slot), "STABLE")

        job = await adding
        assert await app.client.call("LRANGE", app.queue().keys.of("wait"), 0, -1) == [job.job_id]


@pytest.mark.parametrize("many", [100, 5 * MAX_IN_FLIGHT])
async def test_calls_that_are_sent_to_another_node_keep_their_own_answers(
    cluster: RedisCluster, tag: str, many: int
) -> None:
    """With more callers than a connection takes, those that waited for room on the one that was left were told that
    Redis is away, or even that their call may have been executed, though every one of them had been refused.
    """
    key = f"{tag}:number"

    async with client_of(cluster.url, tag) as client:
        await client.run(ECHO, [key], ["first"])
        cluster.move(cluster.slot(tag))
        answers = await asyncio.gather(*(client.run(ECHO, [key], [number]) for number in range(many)))

        assert [echoed for _, echoed in answers] == [str(number) for number in range(many)], "each its own"
        assert sorted(place for place, _ in answers) == list(range(2, many + 2)), "each executed once"


async def test_a_batch_that_is_sent_to_another_node_keeps_its_order(cluster: RedisCluster, tag: str) -> None:
    key = f"{tag}:number"

    async with client_of(cluster.url, tag) as client:
        await client.run(ECHO, [key], ["first"])
        cluster.move(cluster.slot(tag))
        answers = await client.run_all([(ECHO, [key], [number]) for number in range(100)])

        assert answers == [[number + 2, str(number)] for number in range(100)], "in order, and each one once"


async def test_a_slot_that_is_in_between_refuses_without_executing(cluster: RedisCluster, tag: str) -> None:
    """A script that followed ASK to the other node would not find there what has yet to come."""
    slot = cluster.slot(tag)
    source = cluster.owner(slot)
    target_id = ask(cluster.another(source).port, "CLUSTER", "MYID")[0]

    async with client_of(cluster.url, tag) as client:
        ask(source.port, "CLUSTER", "SETSLOT", str(slot), "MIGRATING", target_id)
        with pytest.raises(RedisReplyError, match=r"^ASK ") as refused:
            await client.run(ECHO, [f"{tag}:number"], ["now"])
        ask(source.port, "CLUSTER", "SETSLOT", str(slot), "STABLE")

        assert is_passing(refused.value)
        assert await client.run(ECHO, [f"{tag}:number"], ["later"]) == [1, "later"]


# Which node


async def test_the_nodes_of_a_cluster_may_speak_tls(tmp_path: Path) -> None:
    certificate, key = write_certificate(tmp_path, "node")
    port = free_port()
    options = (
        *("--tls-port", str(port), "--tls-cluster", "yes", "--tls-auth-clients", "no"),
        *("--tls-cert-file", str(certificate), "--tls-key-file", str(key), "--tls-ca-cert-file", str(certificate)),
        *("--cluster-announce-hostname", "localhost", "--cluster-preferred-endpoint-type", "hostname"),
    )

    with running_cluster(size=1, options=options):
        async with client_of(f"rediss+cluster://localhost:{port}?ssl_ca_certs={certificate}", "{bull}") as client:
            assert await client.call("SET", "{bull}:key", "in secret") == "OK"
        async with client_of(f"rediss+cluster://localhost:{port}", "{bull}") as client:
            with pytest.raises(RedisUnavailable, match="certificate verify failed"):
                await client.call("PING")


async def test_a_node_that_is_gone_is_passed_over(cluster: RedisCluster, tag: str) -> None:
    url = f"redis+cluster://{HOST}:{free_port()},{HOST}:{cluster.nodes[1].port}"

    async with client_of(url, tag) as client:
        assert await client.call("SET", f"{tag}:key", "kept") == "OK"


async def test_nodes_that_are_all_gone_are_named() -> None:
    url = f"redis+cluster://{HOST}:{free_port()},{HOST}:{free_port()}"

    async with client_of(url, "{bull}") as client:
        with pytest.raises(RedisUnavailable, match=r"Redis at the cluster of 127\.0\.0\.1:.* is not available: 127"):
            await client.call("PING")


async def test_a_cluster_under_the_url_of_one_server_is_told_apart(cluster: RedisCluster, tag: str) -> None:
    slot = cluster.slot(tag)
    stranger = cluster.another(cluster.owner(slot))

    async with client_of(stranger.url, tag) as client:
        with pytest.raises(SettingsError, match=r"REDIS_URL: .* it is in a cluster; write redis\+cluster://"):
            await client.call("GET", f"{tag}:key")


async def test_a_server_under_the_url_of_a_cluster_is_told_apart(redis_server: RedisServer) -> None:
    async with client_of(f"redis+cluster://{HOST}:{redis_server.port}", "{bull}") as client:
        with pytest.raises(SettingsError, match=r"REDIS_URL: the server at .* is in no cluster; write redis://"):
            await client.call("PING")


@pytest.mark.parametrize(
    ("prefix", "right"), [("bull", "'{bull}'"), ("{bull", "'{bull}'"), ("{}", "'{bull}'"), ("shop", "'{shop}'")]
)
def test_a_prefix_without_a_hash_tag_is_refused_on_a_cluster(settings: MakeSettings, prefix: str, right: str) -> None:
    with pytest.raises(SettingsError, match=f"JOBS_PREFIX: .* has no hash tag.*; write {right}"):
        App(Registry(), settings(redis_url="redis+cluster://a:7000", jobs_prefix=prefix))


@pytest.mark.parametrize("prefix", ["{bull}", "{shop}:bull", "shop:{eu}"])
def test_a_prefix_with_a_hash_tag_is_taken(settings: MakeSettings, prefix: str) -> None:
    app = App(Registry(), settings(redis_url="redis+cluster://a:7000", jobs_prefix=prefix))

    assert app.queue().keys.of("wait") == f"{prefix}:jobs:wait"
