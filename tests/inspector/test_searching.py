"""Searching: filters find what is shown, stop at a bound, say so, and go on from there."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest
from redis.asyncio import Redis

from jobqueue.app import App
from jobqueue.errors import InvalidOption
from jobqueue.inspector import MAX_LOOKED_AT, STATES, Inspector, JobFilter
from jobqueue.inspector.reading import Reader
from jobqueue.inspector.searching import MAX_EXAMINED, search
from jobqueue.job import Related, State
from jobqueue.masking import MASK
from tests.board.support import SyncData, complete, fail, heartbeat, note, sync_data

MIB = 1024 * 1024
_BOTH: Sequence[State | None] = ("waiting", None)


async def ids_of(inspector: Inspector, queue: str, state: State | None, wanted: JobFilter) -> list[str]:
    return [view.id for view in (await inspector.jobs(queue, state, 0, 100, wanted=wanted)).jobs]


async def look_through(inspector: Inspector, queue: str, state: State | None, wanted: JobFilter) -> list[list[str]]:
    """Every page of every look, from the first to the one that says that it is the last: the ids of each look."""
    looks: list[list[str]] = []
    scan_from: int | None = 0
    while scan_from is not None:
        found: list[str] = []
        while True:
            page = await inspector.jobs(queue, state, len(found), 100, wanted=wanted, scan_from=scan_from)
            found.extend(view.id for view in page.jobs)
            if len(page.jobs) < 100:
                break
        looks.append(found)
        scan_from = page.scanned_to
    return looks


async def store(redis: Redis, base: str, jobs: Mapping[str, Mapping[str, str]]) -> None:
    """Hashes as they are, many at a time."""
    async with redis.pipeline(transaction=False) as pipeline:
        for job_id, fields in jobs.items():
            pipeline.hset(f"{base}{job_id}", items=[part for pair in fields.items() for part in pair])
        await pipeline.execute()


def waiting_job(name: str, payload: object, at_ms: int = 1) -> dict[str, str]:
    data = json.dumps({"type": "adhoc", "payload": payload}, separators=(",", ":"))
    return {"name": name, "data": data, "opts": "{}", "timestamp": str(at_ms)}


# What a filter finds


async def test_jobs_are_found_by_each_thing_that_is_known_of_them(app: App, inspector: Inspector) -> None:
    wanted = await app.enqueue_job(
        heartbeat, related=("order", "7"), created_by="alice", order_key="channel:1", queue="other"
    )
    await app.enqueue_job(heartbeat, related=("order", "8"), created_by="alicea", order_key="channel:2", queue="other")
    await app.enqueue_job(note, {"createdBy": "alice", "orderKey": "channel:1"}, queue="other")

    for asked in (
        JobFilter(related=Related("order", "7")),
        JobFilter(created_by="alice"),
        JobFilter(order_key="channel:1"),
        JobFilter(name="heartbeat", created_by="alice", related=Related("order", "7")),
    ):
        found = await inspector.jobs("other", "waiting", wanted=asked)
        assert ([view.id for view in found.jobs], found.total) == ([wanted.job_id], 1), asked
    assert await ids_of(inspector, "other", "waiting", JobFilter(name="heartbeat", created_by="bob")) == []
    assert len(await ids_of(inspector, "other", "waiting", JobFilter(name="heartbeat"))) == 2
    assert await ids_of(inspector, "other", "waiting", JobFilter(name="heart")) == []


async def test_what_other_producers_write_with_spaces_and_codes_is_found(
    inspector: Inspector, redis: Redis, prefix: str
) -> None:
    envelope = {"type": "adhoc", "payload": 1, "createdBy": "Zoë/1", "related": {"id": "7/é", "type": "Ordnung"}}
    texts = [json.dumps(envelope), json.dumps(envelope, ensure_ascii=False), json.dumps(envelope).replace("/", "\\/")]
    base = f"{prefix}:jobs:"
    await store(redis, base, {str(n): {"name": "x", "data": text, "timestamp": "1"} for n, text in enumerate(texts)})
    await redis.lpush(f"{base}wait", "0", "1", "2")
    assert len(await ids_of(inspector, "jobs", "waiting", JobFilter(created_by="Zoë/1"))) == 3
    assert len(await ids_of(inspector, "jobs", "waiting", JobFilter(related=Related("Ordnung", "7/é")))) == 3


async def test_a_time_range_of_finished_jobs_is_exact_and_pages_like_any_list(
    app: App, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    await redis.zadd(f"{prefix}:jobs:completed", {f"c{at_ms}": at_ms for at_ms in range(MAX_LOOKED_AT * 2)})
    middle = JobFilter(from_ms=1_000, to_ms=1_500)

    first = await inspector.jobs("jobs", "completed", 0, 2, wanted=middle)
    last = await inspector.jobs("jobs", "completed", 500, 100, wanted=middle)
    beyond = await inspector.jobs("jobs", "completed", 501, 100, wanted=middle)

    assert ([view.id for view in first.jobs], first.total) == (["c1500", "c1499"], 501)
    assert [view.id for view in last.jobs] == ["c1000"]
    assert (beyond.jobs, beyond.total, beyond.scanned_to) == ((), 501, None)
    assert (await inspector.jobs("jobs", "completed", wanted=JobFilter(from_ms=5, to_ms=4))).total == 0
    huge = JobFilter(from_ms=-(10**40), to_ms=10**40)
    assert (await inspector.jobs("jobs", "completed", wanted=huge)).total == MAX_LOOKED_AT * 2


async def test_a_time_range_of_unfinished_jobs_is_of_their_enqueueing(
    app: App, inspector: Inspector, redis: Redis, prefix: str
) -> None:
    jobs = {str(at_ms): waiting_job("note", {}, at_ms) for at_ms in (1_000, 2_000, 3_000)}
    await store(redis, f"{prefix}:jobs:", jobs)
    await redis.lpush(f"{prefix}:jobs:wait", *jobs)
    assert await ids_of(inspector, "jobs", "waiting", JobFilter(from_ms=1_000, to_ms=2_000)) == ["2000", "1000"]
    assert await ids_of(inspector, "jobs", None, JobFilter(from_ms=2_001)) == ["3000"]


async def test_a_filter_and_a_time_range_hold_together(app: App, inspector: Inspector) -> None:
    first, second = [await app.enqueue_job(note, {"n": number}, queue="jobs") for number in range(2)]
    for at_ms, enqueued in ((1_000, first), (2_000, second)):
        await complete(app, enqueued, "1", at_ms)
    early = JobFilter(name="note", to_ms=1_500)
    assert await ids_of(inspector, "jobs", "completed", early) == [first.job_id]
    assert await ids_of(inspector, "jobs", None, early) == [first.job_id]


# Text


@pytest.mark.parametrize(
    "text",
    [
        "Grüße",
        "GRÜSSE AUS",
        "ПРИВЕТ",
        "привет",
        '"subject":"grüße',
        '"subject": "grüße',
        "job-17",
        "NOTE",
        "17.5",
        "  ",
    ],
)
async def test_text_is_found_in_any_letter_case_in_either_form_of_the_json(
    app: App, inspector: Inspector, text: str
) -> None:
    payload = {"subject": "Grüße", "more": ["Привет", 17.5, "GRÜSSE aus Wien"]}
    await app.enqueue_job(note, payload, job_id="job-17", queue="jobs")
    await app.enqueue_job(heartbeat)
    assert await ids_of(inspector, "jobs", "waiting", JobFilter(text=text)) == ["job-17"]


async def test_text_is_found_in_the_reason_of_a_failure(app: App, inspector: Inspector) -> None:
    broken, other = [await app.enqueue_job(heartbeat) for _ in range(2)]
    await fail(app, broken, "ConnectionError: the carrier is away")
    await fail(app, other, "no")
    assert await ids_of(inspector, "jobs", "failed", JobFilter(text="CARRIER is")) == [broken.job_id]
    assert await ids_of(inspector, "jobs", "failed", JobFilter(text="CARRIER is", cancelled=True)) == []


async def test_nobody_finds_out_by_searching_what_is_masked(app: App, inspector: Inspector) -> None:
    typed = SyncData.model_validate({"resource_id": "r", "pinCode": "hunter2"})
    await app.enqueue_job(sync_data, typed)
    await app.enqueue_job(note, {"apiKey": "hunter2", "deep": [{"db_password": "hunter2"}]}, queue="jobs")
    await app.enqueue_job(note, {"json": '{"token":"hunter2"}'}, queue="jobs")
    await app.client.call(
        "HSET", app.queue().keys.job("bad"), "name", "x", "data", '{"token":"hunter2"', "timestamp", 1
    )
    await app.client.call("LPUSH", app.queue().keys.of("wait"), "bad")

    for guess in ("hunter2", "h", "HUNTER", "unter", '"hunter2"', '"pinCode":"h', '"pinCode": "hunter2'):
        for state in _BOTH:
            found = await inspector.jobs("jobs", state, wanted=JobFilter(text=guess))
            shown = [view.id for view in found.jobs if guess.lower() in repr(view).lower()]
            assert [view.id for view in found.jobs] == shown, guess
    assert len(await ids_of(inspector, "jobs", "waiting", JobFilter(text=MASK))) == 4
    for stolen in ("hunter2", "hunt"):
        other = JobFilter(created_by=stolen, related=Related(stolen, stolen), order_key=stolen)
        assert await ids_of(inspector, "jobs", "waiting", other) == []


@pytest.mark.parametrize(
    ("name", "payload"),
    [
        ("syncData", '{"resource_id": "r", "pinCode": "hunter2 alpha"}'),
        ("of nobody here", '{"accessToken": "hunter2 alpha"}'),
        ("of nobody here", '{"pass_word": "hunter2 alpha"}'),
        ("of nobody here", '{"to-ken": "hunter2 alpha"}'),
        ("of nobody here", '{"Ｐassword": "hunter2 alpha"}'),
        ("of nobody here", '{"paßword": "hunter2 alpha"}'),
        ("of nobody here", '{"p\\u0061ssword": "hunter2 alpha"}'),
        ("of nobody here", '{"pass\\nword": "hunter2 alpha"}'),
        ("of nobody here", json.dumps(json.dumps({"api key": "hunter2 alpha"}))),
    ],
)
async def test_where_a_search_stops_tells_nothing_of_what_is_masked(
    inspector: Inspector, redis: Redis, prefix: str, name: str, payload: str
) -> None:
    stored = {"name": name, "data": f'{{"type":"adhoc","payload":{payload}}}', "opts": "{}", "timestamp": "1"}
    await store(redis, f"{prefix}:jobs:", {f"j{n}": stored for n in range(3_000)})
    await redis.lpush(f"{prefix}:jobs:wait", *(f"j{n}" for n in range(3_000)))

    right, wrong, part, no_part = [
        await inspector.jobs("jobs", "waiting", wanted=JobFilter(text=text))
        for text in ("hunter2", "hunter3", "alph", "alphx")
    ]

    assert right == wrong == part == no_part
    assert right.jobs == ()


async def test_a_job_without_anything_to_hide_is_not_put_together_where_its_text_does_not_match(
    inspector: Inspector, redis: Redis, prefix: str
) -> None:
    jobs = {f"j{n}": waiting_job("of nobody here", {"note": "nothing to hide here"}) for n in range(MAX_EXAMINED + 9)}
    await store(redis, f"{prefix}:jobs:", jobs)
    await redis.lpush(f"{prefix}:jobs:wait", *jobs)

    assert (await inspector.jobs("jobs", "waiting", wanted=JobFilter(text="elsewhere"))).total == 0


# Bounds


async def test_a_filter_stops_at_its_bound_and_goes_on_from_there_until_each_job_was_seen_once(
    inspector: Inspector, redis: Redis, prefix: str
) -> None:
    jobs = {f"j{n}": waiting_job("note" if n % 50 else "other", {"n": n}, n) for n in range(15_000)}
    await store(redis, f"{prefix}:jobs:", jobs)
    await redis.lpush(f"{prefix}:jobs:wait", *jobs)

    first = await inspector.jobs("jobs", "waiting", wanted=JobFilter(name="other"))
    assert (first.total, first.complete, first.scanned_to) == (None, False, MAX_LOOKED_AT)
    assert first.jobs[0].id == "j14950"

    expected = [f"j{n}" for n in reversed(range(0, 15_000, 50))]
    for wanted in (JobFilter(name="other"), JobFilter(text="OTHER"), JobFilter(name="other", from_ms=0)):
        looks = await look_through(inspector, "jobs", "waiting", wanted)
        assert len(looks) > 1
        assert [job_id for look in looks for job_id in look] == expected, wanted


async def test_all_states_are_looked_through_side_by_side_and_each_job_is_seen_once(
    app: App, redis: Redis, prefix: str
) -> None:
    base = f"{prefix}:jobs:"
    jobs = {f"j{n}": waiting_job("note", {"n": n}, n) for n in range(15_000)}
    await store(redis, base, jobs)
    ids = list(jobs)
    await redis.lpush(f"{base}wait", *ids[:7_000])
    await redis.zadd(f"{base}completed", {job_id: number for number, job_id in enumerate(ids[7_000:13_000])})
    await redis.zadd(f"{base}failed", {job_id: number for number, job_id in enumerate(ids[13_000:])})

    looks: list[list[str]] = []
    scan_from: int | None = 0
    while scan_from is not None:
        found, scan_from = await search(Reader(app), app.queue(), STATES, JobFilter(name="note"), scan_from)
        looks.append([one.id for one in found])

    assert sorted(job_id for look in looks for job_id in look) == sorted(ids)
    assert len(looks) > 1
    assert {"j6999", "j12999", "j14999"} <= set(looks[0]), "the newest of each state are in the first look"


async def test_large_payloads_end_a_search_early(inspector: Inspector, redis: Redis, prefix: str) -> None:
    large = waiting_job("note", "x" * MIB)
    jobs = {f"j{n}": large for n in range(24)}
    for job_id, fields in jobs.items():
        await store(redis, f"{prefix}:jobs:", {job_id: fields})
    await redis.lpush(f"{prefix}:jobs:wait", *jobs)

    first = await inspector.jobs("jobs", "waiting", wanted=JobFilter(text="nowhere"))
    looks = await look_through(inspector, "jobs", "waiting", JobFilter(text="note"))

    assert first.scanned_to == 16
    assert sorted(job_id for look in looks for job_id in look) == sorted(jobs)


async def test_what_is_complete_has_a_total_and_what_was_begun_in_the_middle_has_none(
    app: App, inspector: Inspector
) -> None:
    for number in range(3):
        await app.enqueue_job(note, {"n": number}, queue="jobs")
    whole = await inspector.jobs("jobs", "waiting", 0, 2, wanted=JobFilter(name="note"))
    rest = await inspector.jobs("jobs", "waiting", wanted=JobFilter(name="note"), scan_from=2)
    beyond = await inspector.jobs("jobs", "waiting", wanted=JobFilter(name="note"), scan_from=10**30)
    assert (len(whole.jobs), whole.total, whole.scanned_to) == (2, 3, None)
    assert (len(rest.jobs), rest.total, rest.scanned_to) == (1, None, None)
    assert (beyond.jobs, beyond.scanned_to) == ((), None)


# What is broken


BROKEN: Sequence[JobFilter] = (
    JobFilter(),
    JobFilter(name="note"),
    JobFilter(text="note"),
    JobFilter(text="…"),
    JobFilter(from_ms=0, to_ms=5),
    JobFilter(created_by="x", related=Related("a", "b"), order_key="c"),
    JobFilter(created_by="\ufffd\x00", order_key="\n"),
)


@pytest.mark.parametrize("wanted", BROKEN, ids=str)
async def test_what_is_broken_never_stops_a_search(
    inspector: Inspector, redis: Redis, prefix: str, wanted: JobFilter
) -> None:
    # given: bytes, bad JSON, no hash, keys of another type, times that are none
    base = f"{prefix}:jobs:"
    await redis.set(f"{base}text", "note")
    await redis.rpush(f"{base}list", "note")
    await redis.hset(f"{base}bad", mapping={"name": "note", "data": "{", "timestamp": "x"})
    await redis.hset(f"{base}huge", mapping={"name": "note", "timestamp": "1e999", "data": "[" * 500})
    await redis.hset(f"{base}bytes", mapping={b"name": b"note\xff", b"data": b"\xff", b"timestamp": b"\xff"})
    await redis.hset(b"%b\xff" % base.encode(), mapping={"name": "note", "data": '"\\ud800"', "timestamp": "2"})
    members: list[str | bytes] = ["text", "list", "bad", "huge", "bytes", b"\xff", "gone"]
    for key in ("wait", "active"):
        await redis.lpush(f"{base}{key}", *members)
    for key in ("completed", "failed", "delayed", "prioritized", "waiting-children"):
        await redis.zadd(f"{base}{key}", {one: 3.0 for one in members if isinstance(one, str)})
        await redis.zadd(f"{base}{key}", {b"\xff": 3.0})
    await redis.zadd(f"{base}completed", {"bad": float("inf"), "gone": float("-inf")})

    states: Sequence[State | None] = (None, *STATES)
    for state in states:
        found = await inspector.jobs("jobs", state, 0, 100, wanted=wanted)
        assert len(found.jobs) <= len(members)


async def test_cancelled_tells_apart_failed_jobs_only(inspector: Inspector) -> None:
    with pytest.raises(InvalidOption, match="all"):
        await inspector.jobs("jobs", None, wanted=JobFilter(cancelled=True))
