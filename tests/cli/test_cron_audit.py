"""What a person changes with `jobqueue cron` is in the audit log."""

from __future__ import annotations

import getpass

import pytest

from jobqueue.app import App
from jobqueue.cron.migrations import FOLDER
from jobqueue.inspector import Inspector
from jobqueue.upgrades import upgrade
from tests.cli.terminal import Terminal
from tests.conftest import MakeSettings


@pytest.fixture
async def nightly(terminal: Terminal, sqlite_url: str) -> str:
    """The id of a cron job that was added here."""
    await upgrade(sqlite_url, [FOLDER])
    options = ("--pattern", "0 0 1 1 *", "--handler", "order", "--payload", '{"number": 7}')
    done = terminal.run("cron", "add", "nightly", *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


async def test_whoever_changes_cron_jobs_from_here_is_in_the_audit_log(
    terminal: Terminal, nightly: str, settings: MakeSettings
) -> None:
    # when
    terminal.run("cron", "set", "nightly", "--disable")
    terminal.run("cron", "set", "nightly", "--pattern", "never")
    terminal.run("cron", "trigger", "nightly")
    terminal.run("cron", "remove", "nightly")

    # then
    async with App(settings=settings()) as app:
        entries = (await Inspector(app).audit()).entries
    told = [(entry.action, (entry.outcome or "").partition(":")[0]) for entry in reversed(entries)]
    assert told == [
        ("cron create", "done"),
        ("cron change", "done"),
        ("cron change", "refused"),
        ("cron trigger", "done"),
        ("cron delete", "done"),
    ]
    assert {(entry.actor, entry.via, entry.target) for entry in entries} == {
        (getpass.getuser(), "command line", nightly)
    }


async def test_what_is_enqueued_from_here_is_no_act_of_the_audit_log(
    terminal: Terminal, settings: MakeSettings
) -> None:
    terminal.run("enqueue", "order", '{"number": 7}')
    async with App(settings=settings()) as app:
        assert (await Inspector(app).audit()).entries == ()
