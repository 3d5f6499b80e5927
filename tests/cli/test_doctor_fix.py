"""`jobqueue doctor --fix`: shows what has lost its owner, asks, removes it, and says so in the audit log."""

from __future__ import annotations

import json

import pytest
from redis.asyncio import Redis

from jobqueue import App
from jobqueue.inspector import Inspector
from tests.cli.screen import on_screen
from tests.cli.terminal import Terminal
from tests.conftest import MakeSettings
from tests.patterns.working import keys_of


async def leave_leaks(redis: Redis, prefix: str, queue: str = "jobs") -> None:
    """A lane whose holder is gone, and two logs without a job."""
    await redis.hset(f"{prefix}:{queue}:job:lane:sync:a", mapping={"holder": "1", "rank": "1"})
    for number in (7, 8):
        await redis.rpush(f"{prefix}:{queue}:{number}:logs", "begun")


async def test_it_asks_and_changes_nothing_where_the_answer_is_no(
    terminal: Terminal, redis: Redis, prefix: str
) -> None:
    # given
    await leave_leaks(redis, prefix)
    before = await keys_of(redis, prefix)

    # when
    with on_screen(terminal, "doctor", "--fix", columns=200) as screen:
        await screen.shows("Remove 3 keys and entries? [y/N]: ")
        screen.press("n\n")

        # then
        assert screen.wait() == 1
        await screen.shows("nothing was changed")
        assert "2 logs (BullMQ; the job is gone): 7:logs, 8:logs" in screen.said()
        assert "1 lane (jobqueue; its holder is gone or has finished): job:lane:sync:a" in screen.said()
    assert await keys_of(redis, prefix) == before


async def test_it_removes_nothing_where_nobody_can_be_asked(terminal: Terminal, redis: Redis, prefix: str) -> None:
    # given
    await leave_leaks(redis, prefix)
    before = await keys_of(redis, prefix)

    # when
    done = terminal.run("doctor", "--fix", typed="y\n")

    # then
    assert (done.returncode, "--yes" in done.stderr) == (2, True)
    assert await keys_of(redis, prefix) == before


async def test_with_yes_it_removes_what_it_found_and_the_audit_log_has_it(
    terminal: Terminal, redis: Redis, prefix: str, settings: MakeSettings
) -> None:
    # given
    await leave_leaks(redis, prefix)
    await leave_leaks(redis, prefix, "mail")

    # when
    done = terminal.run("doctor", "--fix", "--yes", "--json")

    # then
    (told,) = json.loads(done.stdout)["queues"]
    assert (done.returncode, told["queue"], told["removed"], told["complete"]) == (0, "jobs", 3, True)
    assert {leak["kind"]: (leak["whose"], leak["count"]) for leak in told["leaks"]} == {
        "logs": ("bullmq", 2),
        "lane": ("jobqueue", 1),
    }
    assert {key for key in await keys_of(redis, prefix) if key.startswith("jobs:")} == {"jobs:job:audit:log"}
    assert await redis.exists(f"{prefix}:mail:job:lane:sync:a"), "nobody asked for that queue"
    async with App(settings=settings()) as app:
        page = await Inspector(app).audit("jobs")
    assert [(entry.action, entry.count, entry.outcome) for entry in page.entries] == [("remove leaks", 3, "done")]


@pytest.mark.parametrize("words", [("--queue", "mail"), ("--all-queues",)])
async def test_other_queues_are_looked_at_where_that_is_asked(
    terminal: Terminal, redis: Redis, prefix: str, words: tuple[str, ...]
) -> None:
    # given
    await leave_leaks(redis, prefix, "mail")

    # when
    done = terminal.run("doctor", "--fix", "--yes", *words)

    # then
    assert (done.returncode, "removed 3" in done.stdout) == (0, True)
    assert not await redis.exists(f"{prefix}:mail:job:lane:sync:a")


def test_where_nothing_is_leaked_it_says_so_and_asks_nothing(terminal: Terminal) -> None:
    # when
    done = terminal.run("doctor", "--fix")

    # then
    assert (done.returncode, done.stdout) == (0, "jobs: nothing has lost its owner\n")


@pytest.mark.parametrize(
    "words", [("--yes",), ("--fix", "--json"), ("--fix", "--queue", "a", "--all-queues"), ("--queue", "a:b")]
)
def test_what_does_not_go_together_is_wrong_usage(terminal: Terminal, words: tuple[str, ...]) -> None:
    assert terminal.run("doctor", *words).returncode == 2


async def test_without_fix_the_leaks_are_warnings_and_stay(terminal: Terminal, redis: Redis, prefix: str) -> None:
    # given
    await leave_leaks(redis, prefix)
    terminal.run("db", "upgrade")

    # when
    done = terminal.run("doctor", "--json")

    # then
    checks = {check["name"]: check for check in json.loads(done.stdout)["checks"]}
    assert done.returncode == 0
    assert checks["own keys of jobs"]["status"] == "warning"
    assert checks["BullMQ's keys of jobs"]["detail"].startswith("left over are 2 logs: ")
    assert await redis.exists(f"{prefix}:jobs:7:logs")
