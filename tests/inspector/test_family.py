"""Family: the flow that a job is in; and jobs that are found by their id."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from jobqueue import App, JobContext, make_job
from jobqueue.children import Children
from jobqueue.errors import JobNotFound
from jobqueue.flows import flow
from jobqueue.inspector import MAX_FOUND, Branch, FoundJobs, Inspector, Kin
from jobqueue.inspector.family import MAX_BRANCHES, MAX_DEPTH
from tests.board.support import complete, heartbeat, note
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, working


@make_job
async def step(ctx: JobContext) -> Children:
    return await ctx.children()


def names_of(branch: Branch) -> dict[str, object]:
    return {child.kin.id: names_of(child) for child in branch.children}


# The flow


async def test_a_flow_is_shown_from_its_root_whichever_job_of_it_is_asked_for(app: App, inspector: Inspector) -> None:
    root = await app.enqueue_flow(
        flow(
            heartbeat,
            children=[
                flow(heartbeat, job_id="c10", children=[flow(note, {"n": 1}, job_id="leaf")]),
                flow(heartbeat, job_id="c9"),
            ],
            job_id="root",
        )
    )
    expected: dict[str, object] = {"c10": {"leaf": {}}, "c9": {}}
    for queue, job_id in (("jobs", "root"), ("jobs", "c9"), ("notes", "leaf")):
        family = await inspector.family(queue, job_id)
        assert family.flow is not None
        assert family.flow.kin == Kin("jobs", root.job_id, "heartbeat", "waiting-children")
        assert names_of(family.flow) == expected, "in the order of adding"
    leaf = await inspector.job("notes", "leaf")
    assert leaf.parent == Kin("jobs", "c10", "heartbeat", "waiting-children")


async def test_children_that_have_ended_are_shown_however_they_ended(settings: MakeSettings) -> None:
    @make_job(attempts=1)
    async def fail(ctx: JobContext) -> None:
        raise ValueError("no")

    async with working(settings(), step, fail) as app:
        root = await app.enqueue_flow(
            flow(
                step,
                children=[flow(step, job_id="good"), flow(fail, job_id="bad", on_failure="ignore")],
            )
        )
        await root.wait(WAIT_S)
        family = await Inspector(app).family("jobs", root.job_id)
    assert family.flow is not None
    states = {child.kin.id: child.kin.state for child in family.flow.children}
    assert (family.flow.kin.state, states) == ("completed", {"good": "completed", "bad": "failed"})


async def test_a_wide_flow_shows_some_and_counts_the_rest_but_never_leaves_out_the_job_itself(
    app: App, inspector: Inspector
) -> None:
    children = [flow(heartbeat, job_id=f"c{number}") for number in range(MAX_BRANCHES + 50)]
    await app.enqueue_flow(flow(heartbeat, children=children, job_id="root"))
    for asked in ("c0", "c249"):
        found = (await inspector.family("jobs", asked)).flow
        assert found is not None
        assert len(found.children) == MAX_BRANCHES - 1
        assert found.more == 51
        assert asked in names_of(found)


async def test_a_very_wide_flow_is_shown_in_part(app: App, inspector: Inspector, redis: Redis, prefix: str) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    base = f"{prefix}:jobs:{enqueued.job_id}"
    await redis.sadd(f"{base}:dependencies", *(f"{prefix}:jobs:a{number}" for number in range(3_000)))
    await redis.hset(f"{base}:processed", mapping={f"{prefix}:jobs:b{number}": "1" for number in range(3_000)})
    found = (await inspector.family("jobs", enqueued.job_id)).flow
    assert found is not None
    assert (len(found.children), found.more) == (MAX_BRANCHES - 1, 6_000 - MAX_BRANCHES + 1)
    assert {child.kin.state for child in found.children} == {"unknown"}


async def test_a_deep_flow_is_shown_so_far_and_says_that_there_is_more(app: App, inspector: Inspector) -> None:
    tree = flow(heartbeat, job_id="d14")
    for depth in reversed(range(14)):
        tree = flow(heartbeat, children=[tree], job_id=f"d{depth}")
    await app.enqueue_flow(tree)

    root = (await inspector.family("jobs", "d0")).flow
    assert root is not None
    line = [root]
    while line[-1].children:
        line.append(line[-1].children[0])
    assert [branch.kin.id for branch in line] == [f"d{depth}" for depth in range(MAX_DEPTH)]
    assert line[-1].more == 1

    deepest = (await inspector.family("jobs", "d14")).flow
    assert deepest is not None
    assert "d14" in repr(deepest), "the job itself is in the part that is shown"


async def test_parents_that_are_gone_or_go_in_a_circle_or_are_elsewhere_do_no_harm(
    app: App, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    base = f"{prefix}:jobs:"
    parents = {
        "orphan": f"{base}gone",
        "a": f"{base}b",
        "b": f"{base}a",
        "far": "else:where:1",
        "odd": "x",
        "own": base,
    }
    for job_id, key in parents.items():
        await redis.hset(f"{base}{job_id}", mapping={"name": "heartbeat", "timestamp": "1", "parentKey": key})
        await redis.set(f"{base}{job_id}:processed", "of another type")
        await redis.sadd(f"{base}{job_id}:dependencies", f"{prefix}:{{odd}}:1", b"\xff")
    for job_id in parents:
        family = await inspector.family("jobs", job_id)
        assert family.flow is not None
        assert (await inspector.job("jobs", job_id)).id == job_id
    assert (await inspector.job("jobs", "orphan")).parent == Kin("jobs", "gone", None, "unknown")


async def test_a_key_that_is_no_job_has_no_family(app: App, inspector: Inspector, redis: Redis, prefix: str) -> None:
    await app.queue().write_meta()
    await redis.set(f"{prefix}:jobs:text", "x")
    for job_id in ("meta", "text", "nope"):
        with pytest.raises(JobNotFound):
            await inspector.family("jobs", job_id)


# Finding


async def test_a_job_is_found_by_its_id_in_every_queue_that_has_one(app: App, inspector: Inspector) -> None:
    await app.enqueue_job(heartbeat, job_id="j-17")
    await complete(app, await app.enqueue_job(note, {}, job_id="j-17"), "1")
    await app.queue("other").write_meta()
    await app.enqueue_job(note, {}, job_id="j-17", queue="other")
    jobs = (
        Kin("jobs", "j-17", "heartbeat", "waiting"),
        Kin("notes", "j-17", "note", "completed"),
        Kin("other", "j-17", "note", "waiting"),
    )
    assert await inspector.find(" j-17 ") == FoundJobs(jobs, 0)


async def test_of_very_many_queues_that_have_an_id_the_first_are_named_and_all_are_counted(
    app: App, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    for number in range(MAX_FOUND + 7):
        await redis.hset(f"{prefix}:q{number:03}:meta", "version", "bullmq:6.7.0")
        await redis.hset(f"{prefix}:q{number:03}:1", mapping={"name": "x", "timestamp": "1"})
    await redis.set(f"{prefix}:jobs:1", "of another type")

    found = await inspector.find("1")

    assert [kin.queue for kin in found.jobs] == [f"q{number:03}" for number in range(MAX_FOUND)]
    assert found.more == 7


@pytest.mark.parametrize("text", ["", "  ", "1", "meta", "\ud800", "\x00", "x" * 100_000, "job:lane:a:b", "j-17:lock"])
async def test_a_text_that_is_the_id_of_no_job_finds_nothing(app: App, inspector: Inspector, text: str) -> None:
    await app.queue().write_meta()
    await app.enqueue_job(heartbeat, job_id="j-17")
    assert await inspector.find(text) == FoundJobs((), 0)
