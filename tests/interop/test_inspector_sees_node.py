"""Node's workers, as our inspector lists and counts them."""

from __future__ import annotations

from jobqueue.app import App
from jobqueue.inspector import Inspector, WorkerView
from jobqueue.registry import Registry
from tests.conftest import MakeSettings
from tests.interop.node_peer import NodePeer
from tests.interop.ours import echo, working
from tests.support.eventually import eventually


async def others(inspector: Inspector, *, count: int) -> tuple[WorkerView, ...]:
    """Wait until so many workers are listed that are not ours."""

    async def so_many() -> list[tuple[WorkerView, ...]]:
        found = tuple(worker for worker in await inspector.workers() if worker.language != "python")
        return [found] if len(found) == count else []

    return (await eventually(so_many))[0]


async def test_a_node_worker_with_a_name_is_listed_with_its_job(node: NodePeer, settings: MakeSettings) -> None:
    await node.start_worker("sleep", {"ms": 5_000}, opts={"name": "node-7", "concurrency": 2})
    job_id = await node.add("slow", {})

    async with App(Registry([echo]), settings()) as app:

        async def is_at_work() -> list[WorkerView]:
            return [worker for worker in await Inspector(app).workers() if worker.active_count]

        (worker,) = await eventually(is_at_work)

    assert (worker.name, worker.queues, worker.host) == ("node-7", ("jobs",), "127.0.0.1")
    assert worker.language in {"node", "unknown"}, "Redis says which from 7.2 on"
    assert [job.id for job in worker.active] == [job_id]
    await node.stop_worker(force=True)


async def test_a_node_worker_without_a_name_is_listed_by_its_address(node: NodePeer, settings: MakeSettings) -> None:
    await node.start_worker("none")

    async with App(Registry([echo]), settings()) as app:
        (worker,) = await others(Inspector(app), count=1)

    assert worker.name.startswith("127.0.0.1:")
    assert (worker.active, worker.active_count) == ((), None)


async def test_ours_and_node_s_are_listed_once_each(node: NodePeer, settings: MakeSettings) -> None:
    await node.start_worker("none")

    async with working(settings(), echo) as app:
        await others(Inspector(app), count=1)

        assert len(await Inspector(app).workers()) == 2


async def test_what_node_ran_is_counted_where_its_metrics_are_on(node: NodePeer, settings: MakeSettings) -> None:
    await node.start_worker("none", opts={"metrics": {"maxDataPoints": 100}})
    for _ in range(3):
        await node.add("any", {})

    async with App(Registry([echo]), settings()) as app:

        async def all_counted() -> bool:
            return (await Inspector(app).statistics("jobs", "hour")).total.completed == 3

        await eventually(all_counted)
