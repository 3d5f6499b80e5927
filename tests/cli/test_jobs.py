"""`jobqueue enqueue` and `jobqueue jobs` on what ties jobs together, and on cancelling them."""

from __future__ import annotations

import getpass
import json

import pytest
from redis.asyncio import Redis

from jobqueue.app import App
from jobqueue.inspector import Inspector
from tests.cli.terminal import Terminal
from tests.conftest import MakeSettings


def test_order_key_object_creator_and_expiry_are_stored_and_shown(terminal: Terminal) -> None:
    # given
    words = ("--related", "order:7:b", "--order-key", "channel:42", "--created-by", "alice")
    terminal.run("enqueue", "refuse", *words, "--expires-in-ms", "60000")

    # when
    view = json.loads(terminal.run("jobs", "show", "1", "--json").stdout)
    lines = terminal.run("jobs", "show", "1").stdout.splitlines()

    # then
    assert (view["related"], view["orderKey"]) == ({"type": "order", "id": "7:b"}, "channel:42")
    assert (view["createdBy"], view["expiresAt"]) == ("alice", view["enqueuedAt"] + 60_000)
    assert {"related    order 7:b", "order key  channel:42", "created by alice"} < set(lines)
    assert any(line.startswith("expires ") for line in lines)


def test_a_parked_job_says_what_it_waits_for(terminal: Terminal) -> None:
    # given
    for _ in range(2):
        terminal.run("enqueue", "refuse", "--order-key", "channel:42")

    # when
    lines = terminal.run("jobs", "show", "2").stdout.splitlines()

    # then
    assert {"state      waiting-children", "waits for  its turn: order key channel:42, held by 1"} < set(lines)


def test_a_duplicate_is_named_and_ends_with_1(terminal: Terminal) -> None:
    # given
    words = ("enqueue", "charge", "--related", "order:7")
    terminal.run(*words)

    # when
    done = terminal.run(*words)

    # then
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: handler 'charge': job '1' is not finished yet, and duplicates are refused\n"


def test_a_job_that_has_not_started_is_cancelled(terminal: Terminal) -> None:
    # given
    terminal.run("enqueue", "refuse")

    # when
    done = terminal.run("jobs", "cancel", "1", "--reason", "not wanted")

    # then
    assert (done.returncode, done.stdout) == (0, "cancelled\n")
    assert done.stderr == "job 1: it never runs\n"
    shown = terminal.run("jobs", "show", "1").stdout
    assert "error      Cancelled: not wanted" in shown


async def test_whoever_cancels_from_the_command_line_is_in_the_audit_log(
    terminal: Terminal, settings: MakeSettings
) -> None:
    terminal.run("enqueue", "refuse")
    terminal.run("jobs", "cancel", "1", "--reason", "not wanted")
    async with App(settings=settings()) as app:
        [entry] = (await Inspector(app).audit("jobs")).entries
    assert (entry.actor, entry.via) == (getpass.getuser(), "command line")
    assert (entry.action, entry.target, entry.outcome) == ("cancel", "1", "done")


async def test_the_worker_of_an_active_job_is_told(terminal: Terminal, redis: Redis, prefix: str) -> None:
    # given a job that a worker has taken
    terminal.run("enqueue", "refuse", "--queue", "aside")
    await redis.lmove(f"{prefix}:aside:wait", f"{prefix}:aside:active")

    # when
    done = terminal.run("jobs", "cancel", "1", "--queue", "aside", "--json")

    # then
    assert (done.returncode, json.loads(done.stdout)) == (0, {"jobId": "1", "state": "cancelling"})
    assert await redis.exists(f"{prefix}:aside:job:cancel:1")


def test_a_job_that_has_ended_is_refused_with_1(terminal: Terminal) -> None:
    # given
    terminal.run("enqueue", "refuse")
    terminal.run("jobs", "cancel", "1")

    # when
    done = terminal.run("jobs", "cancel", "1")

    # then
    assert (done.returncode, done.stderr) == (1, "error: job '1' is failed, not unfinished\n")


@pytest.mark.parametrize(
    ("words", "status", "named"),
    [
        (("99",), 1, "no job '99' in queue 'jobs'"),
        (("1", "--reason", ""), 2, "reason"),
        (("1", "--queue", "a:b"), 2, "queue"),
    ],
)
def test_what_cannot_be_cancelled_is_named(terminal: Terminal, words: tuple[str, ...], status: int, named: str) -> None:
    # when
    done = terminal.run("jobs", "cancel", *words)

    # then
    assert done.returncode == status
    assert named in done.stderr
    assert done.stderr.count("\n") == 1, "one line"
