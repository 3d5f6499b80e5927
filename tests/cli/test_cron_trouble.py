"""`jobqueue cron` with secrets that must stay hidden, rows that SQL has spoiled, and words that contradict."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from jobqueue.cron.migrations import FOLDER
from jobqueue.upgrades import upgrade
from tests.cli.terminal import Terminal

CLINIC = '''
"""Handlers of one payload: two hide its pin, one shows it."""

from pydantic import BaseModel, SecretStr

from jobqueue import JobContext, Registry, make_job


class Hidden(BaseModel):
    pin: SecretStr


class Shown(BaseModel):
    pin: str


@make_job
async def hides(ctx: JobContext, payload: Hidden) -> None: ...


@make_job
async def hides_too(ctx: JobContext, payload: Hidden) -> None: ...


@make_job
async def shows(ctx: JobContext, payload: Shown) -> None: ...


registry = Registry([hides, hides_too, shows])
'''
FAR = "0 0 1 1 *"
"""Its next slot is far from any test, but for those that run over New Year."""
MASK = "********"


@pytest.fixture
async def clinic(terminal: Terminal, sqlite_url: str) -> Terminal:
    """A terminal where a cron job `n` has a secret pin."""
    await upgrade(sqlite_url, [FOLDER])
    (terminal.folder / "clinic.py").write_text(CLINIC, encoding="utf-8")
    terminal.environment["JOBS_REGISTRY"] = "clinic:registry"
    done = terminal.run("cron", "add", "n", "--pattern", FAR, "--handler", "hides", "--payload", '{"pin": "4711"}')
    assert done.returncode == 0, done.stderr
    return terminal


def listed(terminal: Terminal) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(terminal.run("cron", "list", "--json").stdout)
    return rows


def by_sql(terminal: Terminal, statement: str) -> list[Any]:
    """What the database says, or a change behind the command's back."""
    with closing(sqlite3.connect(terminal.environment["DATABASE_URL"].partition("///")[2])) as connection, connection:
        return connection.execute(statement).fetchall()


# Secrets


@pytest.mark.parametrize("payload", [(), ("--payload", json.dumps({"pin": MASK}))], ids=["as it is", "sent back"])
def test_another_handler_cannot_be_used_to_look_at_a_secret(clinic: Terminal, payload: tuple[str, ...]) -> None:
    """With `--handler` alone the row moved, and its pin was in the list, on the board and in the admin routes."""
    # when
    done = clinic.run("cron", "set", "n", "--handler", "shows", *payload)

    # then
    assert done.returncode == 2
    assert "--payload: would show what is hidden now" in " ".join(done.stderr.split())
    (row,) = listed(clinic)
    assert (row["handler"], row["payload"]) == ("hides", {"pin": MASK})


def test_another_handler_that_hides_the_secret_takes_it_over(clinic: Terminal) -> None:
    done = clinic.run("cron", "set", "n", "--handler", "hides_too")
    assert done.returncode == 0, done.stderr
    assert [(row["handler"], row["payload"]) for row in listed(clinic)] == [("hides_too", {"pin": MASK})]
    assert [json.loads(stored) for (stored,) in by_sql(clinic, "SELECT payload FROM cron_job")] == [{"pin": "4711"}]


def test_another_handler_takes_a_payload_that_is_given_anew(clinic: Terminal) -> None:
    clinic.run("cron", "set", "n", "--handler", "shows", "--payload", '{"pin": "1"}')
    assert [(row["handler"], row["payload"]) for row in listed(clinic)] == [("shows", {"pin": "1"})]


def test_a_secret_whose_handler_has_left_the_registry_stays_hidden(clinic: Terminal) -> None:
    # given
    by_sql(clinic, "UPDATE cron_job SET handler = 'gone'")

    # when
    shown, sync = clinic.run("cron", "list", "--json"), clinic.run("cron", "sync")
    as_json = clinic.run("cron", "sync", "--json")

    # then
    assert "4711" not in shown.stdout
    assert (sync.returncode, sync.stdout) == (0, "unknown  n: its handler is not in this registry\n")
    assert json.loads(as_json.stdout)["unknown"] == ["n"], "the same word"


# Rows that cannot be read


def test_a_row_that_cannot_be_read_is_said_in_one_line_and_can_be_removed(clinic: Terminal) -> None:
    # given
    clinic.run("cron", "add", "good", "--pattern", FAR, "--handler", "shows", "--payload", '{"pin": "1"}')
    by_sql(clinic, "UPDATE cron_job SET payload = '{bad' WHERE name = 'n'")

    # when
    shown, changed = clinic.run("cron", "list", "--json"), clinic.run("cron", "set", "n", "--disable")
    triggered, sync = clinic.run("cron", "trigger", "n"), clinic.run("cron", "sync", "--json")
    removed, left = clinic.run("cron", "remove", "n"), clinic.run("cron", "list")

    # then
    assert [row["name"] for row in json.loads(shown.stdout)] == ["good"]
    assert shown.stderr == "1 more cannot be read; `jobqueue cron sync` says which, and why\n"
    for done in (changed, triggered):
        assert done.returncode == 1
        assert "cannot be read" in done.stderr
        assert done.stderr.count("\n") == 1, "one line"
    assert (sync.returncode, list(json.loads(sync.stdout)["refused"])) == (1, ["n"])
    assert (removed.returncode, removed.stdout) == (0, "removed n\n")
    assert (left.returncode, left.stderr) == (0, "")


def test_a_trigger_of_a_spoiled_row_names_what_is_wrong_in_one_line(clinic: Terminal) -> None:
    # given
    by_sql(clinic, "UPDATE cron_job SET priority = -5, backoff_ms = -1")

    # when
    done = clinic.run("cron", "trigger", "n")

    # then
    assert done.returncode == 1
    assert "priority: must be a whole number" in done.stderr
    assert "backoff_ms: must be a whole number" in done.stderr
    assert done.stderr.count("\n") == 1, "one line"


# Words


def test_enabling_and_disabling_at_once_is_refused(clinic: Terminal) -> None:
    """The last word won, whatever was meant."""
    # when
    done = clinic.run("cron", "set", "n", "--disable", "--enable")

    # then
    assert done.returncode == 2
    assert "--enable, --disable" in done.stderr
    assert [row["enabled"] for row in listed(clinic)] == [True]


def test_a_payload_that_is_too_large_is_named_once(clinic: Terminal) -> None:
    """It said `payload: payload: 1110 bytes …`."""
    # when
    large = json.dumps({"pin": "1" * 1_100})
    done = clinic.run("cron", "set", "n", "--payload", large, JOBS_MAX_PAYLOAD_BYTES="1000")

    # then
    assert done.returncode == 2
    assert "--payload: 1110 bytes, the limit is 1000" in " ".join(done.stderr.split())
