"""`jobqueue top`: what is seen, what the keys do, and a terminal that is as it was before."""

from __future__ import annotations

import json
import signal
from collections.abc import AsyncGenerator

import pytest

from jobqueue import App, JobContext, make_job
from jobqueue.cli.top.view import Change, Quit, View, pressed
from jobqueue.inspector import Inspector
from tests.cli.screen import on_screen
from tests.cli.terminal import Terminal
from tests.conftest import MakeSettings
from tests.support.eventually import eventually
from tests.support.redis_server import RedisServer

QUEUES = ("jobs", "mail")
ENDED_AT_ONCE = """
import os, signal, tty

set_cbreak = tty.setcbreak


def and_be_ended(terminal):
    set_cbreak(terminal)
    os.kill(os.getpid(), signal.SIGTERM)


tty.setcbreak = and_be_ended
"""


@make_job
async def refuse(ctx: JobContext) -> None: ...


@pytest.fixture
async def app(settings: MakeSettings) -> AsyncGenerator[App]:
    """With a job that has failed, and says so in the terminal's own language."""
    async with App(settings=settings()) as app:
        await app.enqueue_job(refuse, job_id="x7")
        await app.control.cancel("x7", "[red]out\u202e of stock", "jobs")
        yield app


async def test_a_queue_is_watched_paused_and_opened_and_the_terminal_given_back(terminal: Terminal, app: App) -> None:
    with on_screen(terminal, "top") as screen:
        # given
        await screen.shows("out  of stock")
        assert "Cancelled: [red]out" in screen.text(), "no markup, and nothing that turns the text"
        assert len(screen.lines()) == 24
        assert all(len(line) <= 80 for line in screen.lines())

        # when a job comes
        await app.enqueue_job(refuse)
        await eventually(lambda: any(line.split()[:3] == ["▸", "jobs", "1"] for line in screen.lines()), 50)

        # when the queue is paused
        screen.press("p")
        await screen.shows("Pause queue jobs? y/n")
        screen.press("y")
        await screen.shows("jobs (paused)")
        assert (await Inspector(app).queue("jobs")).paused

        # when it is opened, on a terminal that has become smaller
        screen.resize(50, 10)
        screen.send(signal.SIGWINCH)
        screen.press("\r")
        await screen.shows("ACTIVE IN jobs")
        await eventually(lambda: len(screen.lines()) == 10, 50)

        # then Ctrl-C gives the terminal back
        screen.press("\x03")
        assert screen.wait() == 130
        await eventually(lambda: screen.is_as_before)


async def test_a_sigterm_that_comes_at_once_finds_the_terminal_given_back(terminal: Terminal) -> None:
    # given a supervisor that ends it in the moment when it has taken the keys
    (terminal.folder / "sitecustomize.py").write_text(ENDED_AT_ONCE, encoding="utf-8")
    with on_screen(terminal, "top", PYTHONPATH=str(terminal.folder)) as screen:
        # then
        assert screen.wait() == 0
        await eventually(lambda: screen.is_as_before)


async def test_it_says_that_redis_is_away_and_goes_on(terminal: Terminal, own_redis: RedisServer) -> None:
    with on_screen(terminal, "top", REDIS_URL=own_redis.url) as screen:
        await screen.shows("FAILED LATELY")
        own_redis.stop()
        await screen.shows("Redis away")
        own_redis.start()
        await eventually(lambda: "jobqueue top" in screen.lines()[0], 50)
        screen.send(signal.SIGTERM)
        assert screen.wait() == 0
        await eventually(lambda: screen.is_as_before)


@pytest.mark.usefixtures("app")
def test_a_script_gets_one_frame_or_objects(terminal: Terminal) -> None:
    # when
    frame, line = terminal.run("top", "--once"), terminal.run("top", "--once", "--json").stdout

    # then
    assert (frame.returncode, "FAILED LATELY" in frame.stdout, "\x1b" in frame.stdout) == (0, True, False)
    told = json.loads(line)
    assert line.count("\n") == 1
    assert (told["redis"], told["queues"][0]["name"], told["queues"][0]["counts"]["failed"]) == ("ok", "jobs", 1)
    assert [job["jobId"] for job in told["failed"]] == ["x7"]


def test_without_a_terminal_it_names_what_there_is_instead(terminal: Terminal) -> None:
    done = terminal.run("top")
    assert (done.returncode, "--once" in done.stderr, done.stderr.count("\n")) == (2, True, 1)


def test_what_the_keys_do() -> None:
    """Step by step, as nothing of it needs a terminal."""
    view, wish = pressed(View(), "j", QUEUES, frozenset())
    assert (view.selected, wish) == ("mail", None)
    assert pressed(view, "down", QUEUES, frozenset())[0].selected == "mail", "the last one"
    assert pressed(view, "up", QUEUES, frozenset())[0].selected == "jobs"
    assert pressed(view, "q", QUEUES, frozenset()) == (view, Quit())
    asked, wish = pressed(view, "p", QUEUES, frozenset(["mail"]))
    assert (asked.asked, wish) == (Change("resume", "mail"), None)
    assert pressed(asked, "n", QUEUES, frozenset()) == (view, None)
    assert pressed(asked, "y", QUEUES, frozenset()) == (view, Change("resume", "mail"))
    assert pressed(View(), "p", (), frozenset()) == (View(), None), "there is no queue"
