"""What a handler writes faster than Redis takes it: memory stays bounded, and the log has the newest lines."""

from __future__ import annotations

from redis.asyncio import Redis

from jobqueue import JobContext, make_job
from jobqueue.worker.backlog import MOST_CHARACTERS, MOST_ENTRIES, Backlog
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, working


def test_of_what_is_too_much_the_newest_stays() -> None:
    backlog = Backlog[int]()

    for number in range(MOST_ENTRIES + 7):
        backlog.put(number, 1)

    assert (len(backlog), backlog.dropped) == (MOST_ENTRIES, 7)
    assert backlog.take(2) == [7, 8]


def test_a_few_long_ones_are_too_much_as_well() -> None:
    backlog = Backlog[str]()

    for name in ("a", "b", "c"):
        backlog.put(name, MOST_CHARACTERS // 2)

    assert backlog.take(10) == ["b", "c"]


def test_what_was_taken_makes_room() -> None:
    backlog = Backlog[int]()
    for number in range(MOST_ENTRIES):
        backlog.put(number, 1)

    backlog.take(1)
    backlog.put(-1, 1)

    assert (len(backlog), backlog.dropped) == (MOST_ENTRIES, 0)


def test_one_that_is_too_long_by_itself_is_kept() -> None:
    backlog = Backlog[str]()

    backlog.put("a", 2 * MOST_CHARACTERS)

    assert backlog.take(1) == ["a"]


async def test_a_handler_that_never_awaits_leaves_its_last_lines(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    # given
    lines = 3 * MOST_ENTRIES

    @make_job(keep_logs=10)
    async def talks(ctx: JobContext) -> None:
        for number in range(lines):
            ctx.log(str(number))

    # when
    async with working(settings(), talks) as app:
        job = await app.enqueue_job(talks)
        await job.wait(WAIT_S)

    # then
    assert await redis.lrange(f"{prefix}:jobs:{job.job_id}:logs", 0, -1) == [str(lines - 10 + n) for n in range(10)]
