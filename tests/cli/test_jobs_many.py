"""`jobqueue jobs list`, `retry` and `remove`: which jobs they mean, what they ask, and how they end."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping
from dataclasses import replace

import pytest
import typer
from typer.exceptions import TyperException
from typer.main import get_command

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.cli.jobs import add_to
from jobqueue.cli.jobs_acts import Act, treatment
from jobqueue.cli.many import until_complete
from jobqueue.control import NO_REASON
from jobqueue.errors import InvalidOption
from jobqueue.inspector import EVERYTHING, Actor, Bulk, Inspector
from tests.cli.screen import on_screen
from tests.cli.terminal import Terminal
from tests.conftest import MakeSettings

A_MINUTE_MS = 60_000


@make_job(duplicates="allow")
async def refuse(ctx: JobContext) -> None: ...


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncGenerator[App]:
    """With the jobs a and b, which have failed and are about order 7, and c, which waits."""
    async with App(Registry([refuse]), settings()) as app:
        for job_id in ("a", "b"):
            await app.enqueue_job(refuse, job_id=job_id, related=("order", "7"))
            await app.control.cancel(job_id, NO_REASON, "jobs")
        await app.enqueue_job(refuse, job_id="c", created_by="mallory")
        yield app


async def states(app: App) -> Mapping[str, str]:
    return {job.id: job.state for job in (await Inspector(app).jobs("jobs", None)).jobs}


@pytest.mark.usefixtures("app")
def test_jobs_are_listed_by_state_and_object_in_the_shape_of_the_route(terminal: Terminal) -> None:
    # when
    page = json.loads(terminal.run("jobs", "list", "--state", "failed", "--related", "order:7", "--json").stdout)

    # then
    assert [(job["jobId"], job["state"], job["cancelled"]) for job in page["data"]] == [
        ("b", "failed", True),
        ("a", "failed", True),
    ]
    assert (page["total"], page["complete"], page["scannedTo"]) == (2, True, None)


@pytest.mark.usefixtures("app")
def test_a_list_that_goes_on_says_how(terminal: Terminal) -> None:
    # when
    done = terminal.run("jobs", "list", "--limit", "2")

    # then
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["ID", "c", "b"]
    assert done.stderr == "2 of 3; --offset 2 goes on\n"


async def test_jobs_are_retried_by_id_and_a_refusal_is_told_and_ends_with_1(terminal: Terminal, app: App) -> None:
    # when
    done = terminal.run("jobs", "retry", "a", "c", "nobody")

    # then
    assert (done.returncode, done.stdout) == (1, "retried 1\n")
    assert "no job 'nobody' in queue 'jobs'" in done.stderr
    assert done.stderr.count("\n") == 2, "a line for each that was refused"
    assert await states(app) == {"a": "waiting", "b": "failed", "c": "waiting"}


async def test_all_of_a_state_are_retried_after_a_yes(terminal: Terminal, app: App) -> None:
    with on_screen(terminal, "jobs", "retry", "--state", "failed") as screen:
        # when
        await screen.shows("Retry all 2 failed jobs of queue jobs? [y/N]: ")
        screen.press("y\n")

        # then
        assert screen.wait() == 0
        await screen.shows("retried 2")
        assert screen.is_as_before
    assert set((await states(app)).values()) == {"waiting"}


@pytest.mark.parametrize(("keys", "status"), [("n\n", 1), ("\x03", 130)], ids=["no", "ctrl-c"])
async def test_nothing_is_removed_without_a_yes(terminal: Terminal, app: App, keys: str, status: int) -> None:
    with on_screen(terminal, "jobs", "remove", "a") as screen:
        # when
        await screen.shows("Remove 1 job of queue jobs (a)? [y/N]: ")
        screen.press(keys)

        # then
        assert screen.wait() == status
    assert len(await states(app)) == 3


async def test_those_that_match_are_removed_with_yes_and_it_is_in_the_audit_log(terminal: Terminal, app: App) -> None:
    # when
    done = terminal.run("jobs", "remove", "--state", "failed", "--related", "order:7", "--yes", "--json")

    # then
    assert json.loads(done.stdout) == {"done": 2, "refused": 0, "problems": {}, "complete": True}
    assert (done.returncode, await states(app)) == (0, {"c": "waiting"})
    [entry, *_] = (await Inspector(app).audit("jobs")).entries
    assert (entry.action, entry.via, entry.count) == ("remove matching", "command line", 2)


@pytest.mark.parametrize("act_word", ["retry", "remove"])
async def test_a_job_that_fails_anew_is_not_meant_again_when_the_act_goes_on(app: App, act_word: Act) -> None:
    # given an act whose time is up each time, on jobs of which one fails anew meanwhile
    operator = Inspector(app).acting_as(Actor("alice", "command line"))
    treat, rounds = treatment(operator, "jobs", act_word, "failed", EVERYTHING), 0

    async def out_of_time(passed_ms: int) -> Bulk:
        nonlocal rounds
        rounds += 1
        bulk = await treat(passed_ms + A_MINUTE_MS if passed_ms else 0)  # as if each round took that long
        if bulk.done:
            await app.enqueue_job(refuse, job_id="a")
            await app.control.cancel("a", NO_REASON, "jobs")
        return replace(bulk, complete=rounds == 5)

    # when
    bulk = await until_complete(out_of_time)

    # then
    assert (bulk.done, rounds) == (2, 2), "a and b once, and then nothing"
    assert (await states(app))["a"] == "failed"


def test_where_nobody_can_be_asked_it_needs_yes(terminal: Terminal) -> None:
    done = terminal.run("jobs", "remove", "a", typed="y\n")
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (2, "", 1)
    assert "--yes" in done.stderr


@pytest.mark.parametrize(
    ("words", "named"),
    [
        ((), "--state"),
        (("a", "--state", "failed"), "not both"),
        (("--state", "odd"), "'odd'"),
        (("--state", "failed", "--related", "order"), "'order'"),
    ],
    ids=" ".join,
)
def test_it_must_be_clear_which_jobs_are_meant(words: tuple[str, ...], named: str) -> None:
    """Before anything is opened, so nothing needs a process of its own."""
    app = typer.Typer()
    add_to(app)
    with pytest.raises((TyperException, InvalidOption)) as refused:
        get_command(app)(["jobs", "retry", *words], standalone_mode=False)
    assert named in str(refused.value)
