"""The app: settings, registry and connections; the default one behind the module-level functions; waiting."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

from jobqueue import (
    App,
    JobContext,
    JobFailed,
    JobNotFound,
    JobqueueError,
    Keep,
    Registry,
    SettingsError,
    close_default_app,
    enqueue_job,
    enqueue_jobs,
    make_job,
    set_default_app,
)
from jobqueue.app import default_app, default_app_set
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, Gate, serving, working
from tests.support.eventually import eventually
from tests.support.proxy import proxied


@make_job(name="echo")
async def echo(ctx: JobContext, payload: object) -> object:
    return payload


@make_job(name="fail", attempts=1)
async def fail(ctx: JobContext) -> None:
    raise RuntimeError("no route")


@make_job(name="forgotten", keep_completed=Keep(count=0))
async def forgotten(ctx: JobContext) -> str:
    return "done"


# The explicit app


async def test_an_app_opens_nothing_before_its_first_call(settings: MakeSettings, redis: Redis) -> None:
    before = {client["id"] for client in await redis.client_list()}

    async with App(Registry([echo]), settings()) as app:
        assert {client["id"] for client in await redis.client_list()} == before
        await app.enqueue_job(echo, 1)
        assert {client["id"] for client in await redis.client_list()} > before

    await eventually(lambda: no_more_clients(redis, before))


async def no_more_clients(redis: Redis, before: set[str]) -> bool:
    return {client["id"] for client in await redis.client_list()} <= before


async def test_closing_an_app_twice_is_fine_and_ends_it(settings: MakeSettings) -> None:
    app = App(Registry([echo]), settings())
    await app.enqueue_job(echo, 1)

    await app.close()
    await app.close()

    with pytest.raises(JobqueueError, match="closed"):
        await app.enqueue_job(echo, 1)


async def test_an_app_that_was_never_used_closes(settings: MakeSettings) -> None:
    await App(Registry(), settings()).close()


async def test_two_apps_share_nothing_but_redis(settings: MakeSettings) -> None:
    async with App(Registry([echo]), settings()) as one, App(Registry([echo]), settings()) as other:
        await one.enqueue_job(echo, 1)
        await one.close()

        assert (await other.enqueue_job(echo, 2)).job_id == "2"


def test_the_queues_of_an_app_are_those_that_its_handlers_are_routed_to(settings: MakeSettings) -> None:
    routed = make_job(echo.function, name="routed", queue="mail")

    app = App(Registry([routed, echo]), settings(jobs_queue="main"))

    assert app.queue_names() == ("main", "mail")
    assert app.queue().name == "main"
    assert app.queue("mail") is app.queue("mail")


@pytest.mark.parametrize("name", ["", "a:b", "line\nbreak"])
def test_a_queue_whose_name_cannot_be_a_key_is_refused(settings: MakeSettings, name: str) -> None:
    app = App(Registry(), settings())

    if name:
        with pytest.raises(JobqueueError, match="queue"):
            app.queue(name)
    else:
        assert app.queue(name).name == "jobs"


# Waiting for a job


async def test_waiting_gives_the_return_value(settings: MakeSettings) -> None:
    async with working(settings(), echo) as app:
        for value in (None, 0, "text", [1, {"a": None}], "{", '"quoted"', ""):
            assert await (await app.enqueue_job(echo, value)).wait(WAIT_S) == value


async def test_waiting_for_a_job_that_has_ended_already_gives_the_same(settings: MakeSettings) -> None:
    async with working(settings(), echo, fail) as app:
        done, failed = await app.enqueue_job(echo, 5), await app.enqueue_job(fail)
        assert await done.wait(WAIT_S) == 5
        with pytest.raises(JobFailed, match=r"^no route$"):
            await failed.wait(WAIT_S)

        assert await done.wait(WAIT_S) == 5
        with pytest.raises(JobFailed, match=r"^no route$"):
            await failed.wait(WAIT_S)


async def test_waiting_too_long_is_a_timeout_and_the_job_goes_on(settings: MakeSettings) -> None:
    async with App(Registry([echo]), settings()) as app:
        enqueued = await app.enqueue_job(echo, 7)
        with pytest.raises(TimeoutError):
            await enqueued.wait(0.05)

        async with serving(app):
            assert await enqueued.wait(WAIT_S) == 7


async def test_waiting_for_a_job_that_is_gone_says_so(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    async with App(Registry([echo]), settings()) as app:
        enqueued = await app.enqueue_job(echo, 1)
        await redis.delete(f"{prefix}:jobs:{enqueued.job_id}")

        with pytest.raises(JobNotFound, match="no job '1' in queue 'jobs'"):
            await enqueued.wait(WAIT_S)


async def test_a_job_that_is_removed_while_somebody_waits_ends_the_wait(settings: MakeSettings, prefix: str) -> None:
    async with App(Registry([echo]), settings()) as app:
        enqueued = await app.enqueue_job(echo, 1)
        waiting = asyncio.ensure_future(enqueued.wait(WAIT_S))
        with pytest.raises(TimeoutError):
            await enqueued.wait(0.2)  # by now the first is subscribed

        queue = app.queue()
        from_node = ("XADD", queue.keys.of("events"), "*", "event", "removed", "jobId", enqueued.job_id, "prev", "wait")
        await app.client.call("LREM", queue.keys.of("wait"), 0, enqueued.job_id)
        await app.client.call("DEL", queue.keys.job(enqueued.job_id))
        await app.client.call(*from_node)

        with pytest.raises(JobNotFound):
            await asyncio.wait_for(waiting, 5)


async def test_a_job_that_leaves_nothing_behind_is_still_waited_for(settings: MakeSettings) -> None:
    async with App(Registry([forgotten]), settings()) as app:
        enqueued = await app.enqueue_job(forgotten)
        waiting = asyncio.ensure_future(enqueued.wait(WAIT_S))
        with pytest.raises(TimeoutError):
            await enqueued.wait(0.2)  # by now the first is subscribed

        async with serving(app):
            assert await waiting == "done"


async def test_many_wait_at_once_each_for_its_own(settings: MakeSettings) -> None:
    async with working(settings(), echo) as app:
        enqueued = await app.enqueue_jobs((echo, number) for number in range(300))

        assert await asyncio.gather(*(one.wait(WAIT_S) for one in enqueued)) == list(range(300))


async def test_a_wait_outlives_a_lost_connection(settings: MakeSettings, redis_url: str) -> None:
    gate = Gate()

    @make_job
    async def held(ctx: JobContext) -> str:
        await gate.wait()
        return "done"

    async with (
        working(settings(), held),
        proxied(redis_url) as proxy,
        App(Registry([held]), settings(redis_url=proxy.url)) as app,
    ):
        enqueued = await app.enqueue_job(held)
        waiting = asyncio.ensure_future(enqueued.wait(WAIT_S))
        await gate.reached.wait()

        proxy.cut_all()
        gate.opened.set()

        assert await waiting == "done"


async def test_waiting_after_the_app_was_closed_says_so(settings: MakeSettings) -> None:
    app = App(Registry([echo]), settings())
    enqueued = await app.enqueue_job(echo, 1)
    await app.close()

    with pytest.raises(JobqueueError, match="closed"):
        await enqueued.wait(2)


async def test_closing_the_app_ends_a_wait(settings: MakeSettings) -> None:
    app = App(Registry([echo]), settings())
    waiting = asyncio.ensure_future((await app.enqueue_job(echo, 1)).wait())
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(asyncio.shield(waiting), 0.1)

    await app.close()

    with pytest.raises((JobqueueError, asyncio.CancelledError)):
        await asyncio.wait_for(waiting, 5)


# The default app


@pytest.fixture
def default_environment(
    settings: MakeSettings, redis_url: str, prefix: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    """An environment that names this test's Redis and a registry with `echo`."""
    settings()
    module = f"registry_{prefix}"
    (tmp_path / f"{module}.py").write_text(
        "from jobqueue import Registry\nfrom tests.test_app import echo\nregistry = Registry([echo])\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("REDIS_URL", redis_url)
    monkeypatch.setenv("JOBS_PREFIX", prefix)
    monkeypatch.setenv("JOBS_REGISTRY", f"{module}:registry")
    set_default_app(None)
    yield
    set_default_app(None)


async def test_the_functions_of_the_module_open_an_app_from_the_environment(default_environment: None) -> None:
    by_handle = await enqueue_job(echo, 1)
    by_name = await enqueue_job("echo", 2)
    many = await enqueue_jobs([(echo, 3)])

    assert [by_handle.job_id, by_name.job_id, many[0].job_id] == ["1", "2", "3"]
    await close_default_app()


async def test_a_wrong_environment_is_told_at_the_first_call(
    default_environment: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JOBS_REGISTRY", "no_such_module:registry")

    with pytest.raises(SettingsError, match="JOBS_REGISTRY"):
        await enqueue_job("echo", 1)


def enqueue_and_close(payload: int) -> str:
    """One loop's life with the default app."""

    async def main() -> str:
        enqueued = await enqueue_job("echo", payload)
        await default_app().close()
        return enqueued.job_id

    return asyncio.run(main())


def test_a_loop_that_was_closed_gets_an_app_of_its_successor(default_environment: None) -> None:
    assert enqueue_and_close(1) == "1"
    assert enqueue_and_close(2) == "2"


async def test_another_loop_that_runs_is_told_to_make_its_own_app(default_environment: None) -> None:
    await enqueue_job("echo", 1)

    with pytest.raises(JobqueueError, match="another event loop"):
        await asyncio.to_thread(enqueue_and_close, 2)

    assert (await enqueue_job("echo", 3)).job_id == "2"
    await default_app().close()


async def test_a_default_app_that_was_closed_is_opened_again_by_the_next_call(default_environment: None) -> None:
    await close_default_app()  # nothing is open yet, which is fine
    await enqueue_job("echo", 1)
    first = default_app()
    await close_default_app()

    assert (await enqueue_job("echo", 2)).job_id == "2"
    assert default_app() is not first
    await close_default_app()


async def test_an_app_can_be_made_the_default(settings: MakeSettings) -> None:
    async with App(Registry([echo]), settings()) as app:
        set_default_app(app)
        try:
            assert (await enqueue_job("echo", 1)).job_id == "1"
            assert default_app() is app
        finally:
            set_default_app(None)


async def test_the_default_app_is_what_it_was_after_another_was_it_for_a_while(settings: MakeSettings) -> None:
    """The lifespan of a service under test left none set, and the test went on with another Redis."""
    async with App(Registry([echo]), settings()) as outer, App(Registry([echo]), settings()) as inner:
        with default_app_set(outer):
            with default_app_set(inner):
                assert default_app() is inner
            assert default_app() is outer


def test_an_app_that_was_set_is_never_silently_replaced_by_another(
    settings: MakeSettings, default_environment: None
) -> None:
    """The environment may name another Redis: jobs would go where nobody looks for them."""
    chosen = App(Registry([echo]), settings(jobs_queue="chosen"))
    set_default_app(chosen)

    async def main() -> str:
        enqueued = await enqueue_job("echo", 1)
        await default_app().close()
        return enqueued.queue

    assert asyncio.run(main()) == "chosen"
    with pytest.raises(JobqueueError):
        asyncio.run(main())
