"""`jobqueue queue`: whole queues listed, paused, cleaned and drained."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator
from dataclasses import replace

import pytest

from jobqueue import App, JobContext, make_job
from jobqueue.cli.ages import read_age_ms
from jobqueue.cli.many import until_complete
from jobqueue.cli.queue_acts import Old, cleaning
from jobqueue.control import NO_REASON
from jobqueue.errors import InvalidOption
from jobqueue.inspector import Actor, Bulk, Inspector
from tests.cli.terminal import Terminal
from tests.conftest import MakeSettings

A_MINUTE_MS = 60_000


@make_job
async def work(ctx: JobContext) -> None: ...


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncGenerator[App]:
    """With one job that has failed, two that wait and one that is delayed."""
    async with App(settings=settings()) as app:
        await app.enqueue_job(work, job_id="refused")
        await app.control.cancel("refused", NO_REASON, "jobs")
        for _ in range(2):
            await app.enqueue_job(work)
        await app.enqueue_job(work, delay_ms=600_000)
        yield app


async def counts(app: App) -> tuple[int, int, int]:
    """Waiting, delayed, failed."""
    found = (await Inspector(app).queue("jobs")).counts
    return found["waiting"], found["delayed"], found["failed"]


@pytest.mark.usefixtures("app")
def test_queues_are_listed_with_their_counts(terminal: Terminal) -> None:
    # when
    lines = terminal.run("queue", "list").stdout.splitlines()
    [queue] = json.loads(terminal.run("queue", "list", "--json").stdout)

    # then
    assert [line.split() for line in lines] == [
        ["QUEUE", "WAITING", "PARKED", "DELAYED", "ACTIVE", "COMPLETED", "FAILED"],
        ["jobs", "2", "0", "1", "0", "0", "1"],
    ]
    assert (queue["name"], queue["paused"], queue["counts"]["waiting"]) == ("jobs", False, 2)


async def test_a_queue_is_paused_and_resumed(terminal: Terminal, app: App) -> None:
    # when
    paused = json.loads(terminal.run("queue", "pause", "jobs", "--json").stdout)
    resumed = terminal.run("queue", "resume", "jobs")

    # then
    assert (paused["paused"], resumed.stdout) == (True, "resumed\n")
    assert not (await Inspector(app).queue("jobs")).paused


async def test_old_jobs_of_a_state_are_cleaned_and_young_ones_stay(terminal: Terminal, app: App) -> None:
    words = ("queue", "clean", "jobs", "--state", "failed", "--yes")

    # when
    young = terminal.run(*words, "--older-than", "7d")
    every = terminal.run(*words, "--older-than", "0", "--json")

    # then
    assert young.stdout == "removed 0\n"
    assert json.loads(every.stdout) == {"removed": 1, "complete": True}
    assert await counts(app) == (2, 1, 0)


async def test_what_fails_while_a_cleaning_goes_on_stays(app: App) -> None:
    # given a cleaning whose time is up each time, while one more job fails
    operator = Inspector(app).acting_as(Actor("alice", "command line"))
    clean, rounds = cleaning(operator, "jobs", "failed", Old("failed", 0, "0", None)), 0

    async def out_of_time(passed_ms: int) -> Bulk:
        nonlocal rounds
        rounds += 1
        bulk = await clean(passed_ms + A_MINUTE_MS if passed_ms else 0)  # as if each round took that long
        await app.enqueue_job(work, job_id=f"young-{rounds}")
        await app.control.cancel(f"young-{rounds}", NO_REASON, "jobs")
        return replace(bulk, complete=rounds == 5)

    # when
    bulk = await until_complete(out_of_time)

    # then
    assert (bulk.done, await counts(app)) == (1, (2, 1, 2))


async def test_a_queue_is_drained_with_the_delayed_ones_where_that_is_asked(terminal: Terminal, app: App) -> None:
    # when
    waiting = terminal.run("queue", "drain", "jobs", "--yes")

    # then
    assert (waiting.stdout, await counts(app)) == ("removed 2\n", (0, 1, 1))
    assert terminal.run("queue", "drain", "jobs", "--delayed", "--yes").stdout == "removed 1\n"


def test_a_queue_that_nobody_has_is_named(terminal: Terminal) -> None:
    done = terminal.run("queue", "drain", "nobody")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "error: queue: there is no queue 'nobody'\n"


@pytest.mark.parametrize(
    ("text", "age_ms"), [("7d", 604_800_000), ("90m", 5_400_000), ("500ms", 500), ("2w", 1_209_600_000), ("0", 0)]
)
def test_an_age_is_a_number_with_its_unit(text: str, age_ms: int) -> None:
    assert read_age_ms("--older-than", text) == age_ms


@pytest.mark.parametrize("text", ["7", "d", "-1d", "1.5d", "7 d", "7y", ""])
def test_what_is_no_age_is_refused(text: str) -> None:
    with pytest.raises(InvalidOption, match="like 7d"):
        read_age_ms("--older-than", text)
