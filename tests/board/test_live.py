"""Live pages: what an open event stream tells, and what it never does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import anyio
import httpx
import pytest
from redis.asyncio import Redis
from starlette.types import Message, Scope

from board import create_app, live, watch
from jobqueue.app import App
from jobqueue.inspector import Inspector
from tests.board.listening import LONGEST_S, Changed, listening, opened
from tests.board.support import REGISTRY, activate, client_of, heartbeat, note, serving
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer


@pytest.fixture
async def board(app: App) -> AsyncIterator[str]:
    async with serving(app) as address:
        yield address


async def test_an_enqueued_job_is_told_of_by_its_id(app: App, board: str) -> None:
    async with listening(board, "?queue=jobs") as stream:
        enqueued = await app.enqueue_job(heartbeat)
        changed = await stream.changed()

    assert (changed.queues, changed.jobs) == (["jobs"], [enqueued.job_id])


async def test_nothing_that_a_job_holds_is_told(app: App, board: str) -> None:
    async with listening(board, "?queue=notes") as stream:
        await app.enqueue_job(note, {"pin": "4711"})
        told = await stream.next()

    assert "4711" not in told.data
    assert 'note"' not in told.data


async def test_the_stream_opens_at_once_and_no_proxy_keeps_it_back(board: str) -> None:
    async with opened(board) as stream:
        assert await stream.line() == "retry: 3000"
        headers = stream.response.headers

    assert headers["content-type"] == "text/event-stream; charset=utf-8"
    assert headers["x-accel-buffering"] == "no"
    assert headers["cache-control"] == "no-store"
    assert "content-length" not in headers


async def test_a_page_without_a_queue_hears_of_all_and_a_page_of_one_of_no_other(app: App, board: str) -> None:
    async with listening(board) as overview, listening(board, "?queue=jobs") as jobs:
        await app.enqueue_job(note, {})
        assert (await overview.changed()).queues == ["notes"]
        await app.enqueue_job(heartbeat)

        assert (await jobs.changed()).queues == ["jobs"]
        assert (await overview.changed()).queues == ["jobs"]


async def test_a_jobs_page_does_not_hear_of_other_jobs(app: App, board: str) -> None:
    async with listening(board, "?queue=jobs&job=mine") as stream:
        await app.enqueue_job(heartbeat, job_id="other")
        await app.enqueue_job(heartbeat, job_id="mine")

        assert (await stream.changed()).jobs == ["mine"]


async def test_a_jobs_page_hears_that_its_queue_was_paused(app: App, board: str) -> None:
    async with listening(board, "?queue=jobs&job=mine") as stream:
        await app.client.call("XADD", app.queue("jobs").keys.of("events"), "*", "event", "paused")

        assert await stream.changed() == Changed(queues=["jobs"], jobs=[])


async def test_what_happens_often_is_told_once_a_second_and_names_a_hundred_jobs(app: App, board: str) -> None:
    async with listening(board, "?queue=jobs") as stream:
        await app.enqueue_job(heartbeat)
        await stream.changed()
        started_s = asyncio.get_running_loop().time()
        await app.enqueue_jobs((heartbeat, None) for _ in range(500))
        changed = await stream.changed()
        waited_s = asyncio.get_running_loop().time() - started_s

    assert len(changed.jobs) == watch.MAX_JOBS
    assert waited_s > watch.SPACING_S / 2


async def test_log_lines_come_while_the_job_is_active(app: App, board: str) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await activate(app, enqueued)
    async with listening(board, f"?queue=jobs&job={enqueued.job_id}") as stream:
        await stream.changed()
        while True:
            await app.queue("jobs").add_log(enqueued.job_id, "half way", 10)
            if (await stream.changed()).jobs == [enqueued.job_id]:
                break


async def test_log_lines_of_a_full_log_are_heard_of_too(app: App, board: str) -> None:
    enqueued = await app.enqueue_job(heartbeat)
    await activate(app, enqueued)
    await app.queue("jobs").add_log(enqueued.job_id, "first", 1)
    async with listening(board, f"?queue=jobs&job={enqueued.job_id}") as stream:
        await stream.changed()
        for line in ("second", "third"):
            await app.queue("jobs").add_log(enqueued.job_id, line, 1)

            assert (await stream.changed()).jobs == [enqueued.job_id]


async def test_a_quiet_stream_says_that_it_is_alive(app: App, board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "HEARTBEAT_S", 0.05)
    async with listening(board, "?queue=jobs") as stream:
        assert await stream.line() == ": nothing new"


async def test_queues_beyond_those_that_are_listened_to_count_as_changed_at_each_heartbeat(
    app: App, board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watch, "HEARTBEAT_S", 0.05)
    monkeypatch.setattr(live, "MAX_QUEUES", 1)
    async with listening(board) as stream:
        assert (await stream.changed()).queues == ["notes"]


async def test_a_queue_that_nobody_knows_costs_no_connection(board: str, redis: Redis) -> None:
    before = len(await redis.client_list())
    async with listening(board, "?" + "&".join(f"queue=guess-{number}" for number in range(live.MAX_QUEUES))):
        assert len(await redis.client_list()) == before + 1


async def test_one_page_too_many_is_told_to_come_again(board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_STREAMS", 2)
    async with opened(board), opened(board), opened(board) as third:
        assert third.response.status_code == 503
        assert third.response.headers["retry-after"] == "10"


async def test_a_page_that_was_closed_makes_room_for_another(board: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "MAX_STREAMS", 1)
    async with listening(board):
        pass

    async def opens() -> bool:
        async with opened(board) as stream:
            return stream.response.status_code == 200

    assert await eventually(opens)


async def test_a_request_that_is_cut_off_from_outside_hears_nothing_any_more(
    app: App, board: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A service around the board may give each request a time: then all that the request awaits is cancelled."""
    # given
    monkeypatch.setattr(watch, "HEARTBEAT_S", 0.05)
    streams, page = live.Live(app, Inspector(app)), watch.Watch()
    messages = page.messages()
    with anyio.move_on_after(LONGEST_S) as limit:
        async with streams.listening(page, ["jobs"]):
            assert [await anext(messages), await anext(messages)] == [b"retry: 3000\n\n", b"event: live\ndata: {}\n\n"]

            # when
            limit.cancel()
            await anyio.sleep_forever()

    # then
    async with listening(board, "?queue=jobs") as another:
        await app.enqueue_job(heartbeat)
        await another.changed()
    assert await anext(messages) == b": nothing new\n\n"


async def test_more_queues_than_one_page_can_hear_are_refused(board: str) -> None:
    names = [f"queue=queue-{number}" for number in range(live.MAX_QUEUES + 1)]
    async with opened(board, "?" + "&".join([*names[1:], names[1]])) as stream:
        assert stream.response.status_code == 200
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{board}/live?" + "&".join(names), headers={"accept": "application/json"})

    assert answer.status_code == 400
    assert "51 queues are asked for, but a page hears 50 at most" in answer.text


async def test_asking_for_the_head_alone_does_not_keep_the_connection(app: App) -> None:
    async with client_of(create_app(app)) as client:
        answer = await client.head("/bullBoard/live")

    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith("text/event-stream")


STRANGE = ["?queue=..", "?queue=%00", "?queue=a%3Ab", f"?queue={'x' * 5_000}", "?job=1", "?queue=jobs&job=%ff%00"]


@pytest.mark.parametrize("query", STRANGE)
async def test_a_strange_query_is_answered_by_a_silent_stream(board: str, query: str) -> None:
    async with opened(board, query) as stream:
        assert stream.response.status_code == 200
        assert (await stream.next()).event == "live"


async def test_a_stream_says_when_redis_is_away_and_when_it_is_back(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    async with (
        App(REGISTRY, settings(redis_url=own_redis.url, environment="local")) as app,
        serving(app) as board,
        listening(board, "?queue=jobs") as stream,
    ):
        await app.enqueue_job(heartbeat)
        await stream.changed()
        await asyncio.to_thread(own_redis.kill)
        assert (await stream.next()).event == "away"
        await asyncio.to_thread(own_redis.start)
        told = {(await stream.next()).event, (await stream.next()).event}

        assert told == {"back", "changed"}


async def test_a_page_that_opens_while_redis_is_away_is_live_when_it_is_back(
    settings: MakeSettings, own_redis: RedisServer
) -> None:
    await asyncio.to_thread(own_redis.kill)
    async with (
        App(REGISTRY, settings(redis_url=own_redis.url, environment="local")) as app,
        serving(app) as board,
        opened(board, "?queue=jobs") as stream,
    ):
        assert (await stream.next()).event == "away"
        await asyncio.to_thread(own_redis.start)
        told = {(await stream.next()).event, (await stream.next()).event}
        assert told == {"live", "back"}
        await app.enqueue_job(heartbeat)

        assert (await stream.changed()).queues == ["jobs"]


async def test_the_end_of_the_app_ends_its_streams(settings: MakeSettings) -> None:
    app = App(REGISTRY, settings(environment="local"))
    async with serving(app) as board, listening(board, "?queue=jobs") as stream:
        await app.enqueue_job(heartbeat)
        await stream.changed()
        await app.close()

        await stream.until_end()


async def test_credentials_are_needed_as_for_everything_else(settings: MakeSettings) -> None:
    guarded = App(REGISTRY, settings(bull_board_username="ann", bull_board_password="pw"))
    async with guarded, serving(guarded) as board, opened(board) as stream:
        assert stream.response.status_code == 401


async def test_a_page_that_takes_nothing_keeps_no_more_than_a_hundred_ids() -> None:
    page = watch.Watch()
    page.listens(["queue-0", "queue-1", "queue-2"])
    for number in range(100_000):
        page.hear(f"queue-{number % 3}", [str(number)])
    messages = page.messages()
    await anext(messages)

    told = await anext(messages)
    assert b"event: changed" in told
    assert len(told) < 2_000


async def test_what_happened_before_a_page_was_live_is_told_with_that_it_is() -> None:
    page = watch.Watch()
    page.hear("jobs", ["1"])
    page.redis_is(away=True)
    messages = page.messages()
    assert [await anext(messages), await anext(messages)] == [b"retry: 3000\n\n", b"event: away\ndata: {}\n\n"]

    page.redis_is(away=False)
    page.listens(["jobs"])

    told = (await anext(messages)).decode()
    assert [line for line in told.splitlines() if "event" in line] == ["event: back", "event: live", "event: changed"]


async def test_a_page_that_takes_nothing_does_not_slow_the_others(app: App, board: str) -> None:
    address = httpx.URL(board)
    _, writer = await asyncio.open_connection(address.host, address.port, limit=1)
    try:
        writer.write(f"GET {address.path}/live?queue=jobs HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        async with listening(board, "?queue=jobs") as stream:
            for _ in range(3):
                enqueued = await app.enqueue_job(heartbeat)
                assert (await stream.changed()).jobs == [enqueued.job_id]
    finally:
        writer.close()
        await writer.wait_closed()


async def test_a_client_that_has_died_without_a_word_is_given_up(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "SEND_S", 0.05)
    headers = [(b"host", b"localhost")]
    address: Scope = {
        "type": "http",
        "method": "GET",
        "path": "/bullBoard/live",
        "query_string": b"",
        "headers": headers,
    }

    never = asyncio.Event()

    async def receive() -> Message:
        await never.wait()
        return {"type": "http.disconnect"}

    async def send(message: Message) -> None:
        await never.wait()

    async with asyncio.timeout(10):
        await create_app(app)(address, receive, send)
