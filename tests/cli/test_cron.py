"""`jobqueue cron`: add, list, set, remove, trigger, sync and next."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from itertools import chain
from typing import Any

import pytest
from redis.asyncio import Redis

from jobqueue.cron.migrations import FOLDER
from jobqueue.upgrades import upgrade
from tests.cli.terminal import Terminal
from tests.support.eventually import eventually
from tests.support.processes import free_port

FAR = "0 0 1 1 *"
"""Its next slot is far from any test, but for those that run over New Year."""
NIGHTLY = ("cron", "add", "nightly", "--pattern", FAR, "--handler", "order", "--payload", '{"number": 7}')


@pytest.fixture
async def upgraded(terminal: Terminal, sqlite_url: str) -> Terminal:
    """A terminal whose database has its tables."""
    await upgrade(sqlite_url, [FOLDER])
    return terminal


@pytest.fixture
def nightly(upgraded: Terminal) -> dict[str, Any]:
    """A cron job that is there."""
    return added(upgraded)


def added(terminal: Terminal, *options: str) -> dict[str, Any]:
    done = terminal.run(*NIGHTLY, *options, "--json")
    assert done.returncode == 0, done.stderr
    row: dict[str, Any] = json.loads(done.stdout)
    return row


def listed(terminal: Terminal) -> list[dict[str, Any]]:
    rows: list[dict[str, Any]] = json.loads(terminal.run("cron", "list", "--json").stdout)
    return rows


def by_sql(terminal: Terminal, statement: str) -> list[Any]:
    """What the database says, or a change behind the command's back."""
    with closing(sqlite3.connect(terminal.environment["DATABASE_URL"].partition("///")[2])) as connection, connection:
        return connection.execute(statement).fetchall()


async def test_adding_prints_the_id_alone_and_says_the_rest_beside(
    upgraded: Terminal, redis: Redis, prefix: str
) -> None:
    # when
    done = upgraded.run(*NIGHTLY)

    # then
    (row,) = listed(upgraded)
    year = datetime.now(UTC).year + 1
    assert (done.returncode, done.stdout) == (0, f"{row['id']}\n")
    assert done.stderr == f"added nightly; next run {year}-01-01 00:00 UTC\n"
    assert await redis.hget(f"{prefix}:jobs:repeat:nightly", "pattern") == FAR


def test_every_option_is_saved(upgraded: Terminal) -> None:
    # when
    row = added(
        upgraded,
        *("--timezone", "Europe/Vienna", "--job-id", "n1", "--description", "each night", "--priority", "4"),
        *("--max-attempts", "9", "--backoff-ms", "10", "--overlap", "queue", "--misfire", "skip", "--disabled"),
    )

    # then
    assert listed(upgraded) == [row]
    assert (row["name"], row["jobId"], row["description"]) == ("nightly", "n1", "each night")
    assert (row["timezone"], row["priority"], row["maxAttempts"], row["backoffMs"]) == ("Europe/Vienna", 4, 9, 10)
    assert (row["overlap"], row["misfire"], row["enabled"], row["nextRunAt"]) == ("queue", "skip", False, None)
    assert (row["source"], row["createdBy"], row["lastStatus"]) == ("admin", "command line", None)


def test_the_payload_may_come_from_standard_input(upgraded: Terminal) -> None:
    done = upgraded.run(*NIGHTLY[:-1], "-", "--json", typed='{"number": 8}')
    assert json.loads(done.stdout)["payload"] == {"number": 8}


def test_the_list_shows_the_clocks_of_each_zone_and_is_not_folded_in_a_pipe(upgraded: Terminal) -> None:
    # given
    added(upgraded, "--timezone", "America/New_York")
    upgraded.run("cron", "add", "a" * 150, "--pattern", "@daily", "--handler", "charge", "--disabled")
    by_sql(
        upgraded,
        "UPDATE cron_job SET last_status = 'failed', last_run_at = '2026-07-01 04:00:00.000000' WHERE name = 'nightly'",
    )

    # when
    lines = upgraded.run("cron", "list").stdout.splitlines()

    # then
    year = datetime.now(UTC).year + 1
    assert lines[0].split() == ["NAME", "PATTERN", "ZONE", "HANDLER", "ENABLED", "NEXT", "RUN", "LAST", "RUN"]
    assert lines[1].split() == ["a" * 150, "@daily", "UTC", "charge", "no", "-", "-"]
    assert f"America/New_York  order    yes      {year}-01-01 00:00 EST  failed 2026-07-01 00:00 EDT" in lines[2]


def test_a_row_that_has_gone_bad_is_listed_and_can_be_mended(upgraded: Terminal, nightly: dict[str, Any]) -> None:
    # given
    by_sql(upgraded, "UPDATE cron_job SET pattern = 'never', timezone = 'Mars/Olympus'")

    # when
    before = upgraded.run("cron", "list")
    mended = upgraded.run("cron", "set", "nightly", "--pattern", FAR, "--timezone", "UTC", "--json")

    # then
    assert "no good pattern or zone" in before.stdout
    assert json.loads(mended.stdout)["nextRunAt"] == nightly["nextRunAt"]


def test_no_cron_jobs_are_told_as_that(upgraded: Terminal) -> None:
    assert upgraded.run("cron", "list").stdout == "no cron jobs; add one with `jobqueue cron add`\n"
    assert listed(upgraded) == []


def test_secrets_are_masked_and_kept_where_the_mask_comes_back(upgraded: Terminal) -> None:
    # given
    shown = json.loads(upgraded.run(*NIGHTLY[:-1], '{"number": 7, "card": "4111"}', "--json").stdout)["payload"]

    # when
    edited = upgraded.run("cron", "set", "nightly", "--payload", json.dumps(shown | {"number": 8}))

    # then
    assert shown == {"number": 7, "card": "********"}
    assert edited.returncode == 0
    assert listed(upgraded)[0]["payload"] == {"number": 8, "card": "********"}
    ((stored,),) = by_sql(upgraded, "SELECT payload FROM cron_job")
    assert json.loads(stored) == {"number": 8, "card": "4111"}


@pytest.mark.parametrize("which", ["id", "jobId", "name"])
def test_a_cron_job_is_named_by_its_id_its_job_id_or_its_name(upgraded: Terminal, which: str) -> None:
    # given
    row = added(upgraded, "--job-id", "n1")

    # when
    done = upgraded.run("cron", "set", row[which], "--pattern", "@monthly", "--name", "monthly")

    # then
    assert (done.returncode, done.stdout) == (0, f"{row['id']}\n")
    assert done.stderr.startswith("saved monthly; next run 20")
    (changed,) = listed(upgraded)
    assert (changed["id"], changed["jobId"], changed["pattern"]) == (row["id"], "n1", "@monthly")


async def test_disabling_takes_the_scheduler_away_and_enabling_brings_it_back(
    upgraded: Terminal, nightly: dict[str, Any], redis: Redis, prefix: str
) -> None:
    disabled = upgraded.run("cron", "set", "nightly", "--disable")
    assert disabled.stderr == "saved nightly; next run none: it is disabled\n"
    assert await redis.zrange(f"{prefix}:jobs:repeat", 0, -1) == []

    upgraded.run("cron", "set", "nightly", "--enable")
    assert await redis.zrange(f"{prefix}:jobs:repeat", 0, -1) == ["nightly"]


async def test_removing_takes_the_scheduler_away(
    upgraded: Terminal, nightly: dict[str, Any], redis: Redis, prefix: str
) -> None:
    # when
    done = upgraded.run("cron", "remove", "nightly")

    # then
    assert (done.returncode, done.stdout) == (0, "removed nightly\n")
    assert listed(upgraded) == []
    assert await redis.keys(f"{prefix}:jobs:repeat*") == []


def test_a_trigger_runs_a_disabled_cron_job_and_waits_for_its_result(upgraded: Terminal) -> None:
    # given
    row = added(upgraded, "--disabled")

    # when
    with upgraded.running("worker"):
        waited = upgraded.run("cron", "trigger", "nightly", "--wait", "30")
    stored = upgraded.run("cron", "trigger", "nightly")

    # then
    assert (waited.returncode, waited.stdout) == (0, '"sent 7"\n')
    assert stored.stdout.startswith(f"cron.{row['id']}."), "the id of the job"
    assert f"enqueued order as job {stored.stdout.strip()} in queue jobs" in stored.stderr


async def test_ctrl_c_ends_the_waiting_and_not_the_job(upgraded: Terminal, nightly: dict[str, Any]) -> None:
    with upgraded.running("cron", "trigger", "nightly", "--wait", "50") as waiting:
        await eventually(lambda: waiting.has_said("as job cron."), deadline_s=30)

        # when
        waiting.press_ctrl_c()

        # then
        assert waiting.wait() == 130
    assert "Traceback" not in waiting.said()


def test_sync_says_what_it_changed_and_ends_with_1_where_a_row_is_refused(
    upgraded: Terminal, nightly: dict[str, Any]
) -> None:
    # given
    by_sql(upgraded, "UPDATE cron_job SET pattern = '0 0 2 1 *'")

    # when
    first, second = upgraded.run("cron", "sync"), upgraded.run("cron", "sync", "--json")
    by_sql(upgraded, "UPDATE cron_job SET pattern = 'never'")
    third = upgraded.run("cron", "sync", "--json")

    # then
    assert (first.returncode, first.stdout) == (0, "replaced nightly\n")
    assert (second.returncode, json.loads(second.stdout)["kept"]) == (0, ["nightly"])
    assert third.returncode == 1
    assert "'never'" in json.loads(third.stdout)["refused"]["nightly"]


def test_the_next_times_of_a_pattern_are_shown_without_any_server(bare_terminal: Terminal) -> None:
    # when
    done = bare_terminal.run("cron", "next", "30 1 1 7 *", "--timezone", "America/New_York", "--count", "2")
    as_json = bare_terminal.run("cron", "next", "30 1 1 7 *", "--timezone", "America/New_York", "--json")

    # then
    times = [datetime.fromtimestamp(at_ms / 1000, UTC) for at_ms in json.loads(as_json.stdout)]
    assert len(times) == 5
    assert all((at.month, at.hour, at.minute) == (7, 5, 30) for at in times)
    assert done.stdout.splitlines() == [f"{at.year}-07-01 01:30 EDT" for at in times[:2]]


def test_wrong_values_are_named_by_their_options_all_at_once(upgraded: Terminal) -> None:
    # given
    wrong = {
        "--pattern": "every day",
        "--handler": "nobody",
        "--max-attempts": "0",
        "--backoff-ms": "-1",
        "--priority": "-1",
        "--overlap": "never",
        "--misfire": "always",
        "--job-id": "a:b",
    }

    # when
    done = upgraded.run(*NIGHTLY, *chain.from_iterable(wrong.items()))

    # then
    assert done.returncode == 2
    assert [option for option in wrong if f"{option}:" not in done.stderr] == []
    assert by_sql(upgraded, "SELECT name FROM cron_job") == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        (("--pattern", "0 0 30 2 *"), "--pattern"),
        (("--timezone", "Mars/Olympus"), "--timezone"),
        (("--payload", '{"number": "many"}'), "payload.number"),
        (("--payload", "{"), "--payload"),
        (("--payload", '{"number": NaN}'), "--payload"),
        (("--payload", '{"number": 7, "card": "********"}'), "payload.card"),
    ],
)
def test_a_wrong_value_names_its_option_and_nothing_is_saved(
    upgraded: Terminal, options: tuple[str, ...], named: str
) -> None:
    # when
    done = upgraded.run(*NIGHTLY, *options)

    # then
    assert done.returncode == 2
    assert named in done.stderr
    assert "Traceback" not in done.stderr
    assert by_sql(upgraded, "SELECT name FROM cron_job") == []


def test_a_change_that_is_wrong_or_none_is_refused(upgraded: Terminal, nightly: dict[str, Any]) -> None:
    # when
    wrong = upgraded.run("cron", "set", "nightly", "--pattern", "every day", "--max-attempts", "0")
    nothing = upgraded.run("cron", "set", "nightly")

    # then
    assert wrong.returncode == nothing.returncode == 2
    assert "--pattern" in wrong.stderr
    assert "--max-attempts" in wrong.stderr
    assert "say what to change" in nothing.stderr
    assert listed(upgraded) == [nightly]


@pytest.mark.parametrize("words", [("set", "nobody", "--disable"), ("remove", "nobody"), ("trigger", "nobody")])
def test_what_is_not_there_is_said_in_one_line(upgraded: Terminal, words: tuple[str, ...]) -> None:
    done = upgraded.run("cron", *words)
    assert (done.returncode, done.stderr) == (1, "error: there is no cron job 'nobody'\n")


def test_a_second_cron_job_of_one_name_is_refused(upgraded: Terminal, nightly: dict[str, Any]) -> None:
    done = upgraded.run(*NIGHTLY, "--job-id", "another")
    assert (done.returncode, done.stderr) == (1, "error: name: another cron job has 'nightly'\n")
    assert listed(upgraded) == [nightly]


@pytest.mark.parametrize(
    "words", [("list",), NIGHTLY[1:], ("sync",), ("trigger", "nightly")], ids=lambda words: words[0]
)
def test_missing_tables_say_what_to_do(terminal: Terminal, words: tuple[str, ...]) -> None:
    done = terminal.run("cron", *words)
    assert done.returncode == 1
    assert "run `jobqueue db upgrade`" in done.stderr
    assert done.stderr.count("\n") == 1, "one line"


def test_a_database_away_is_told_without_its_password(terminal: Terminal) -> None:
    done = terminal.run("cron", "list", DATABASE_URL="postgresql+asyncpg://me:hunter2@127.0.0.1:1/jobs")
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert "hunter2" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_without_redis_a_cron_job_is_saved_and_what_needs_redis_says_so(upgraded: Terminal) -> None:
    # given
    away = {"REDIS_URL": f"redis://127.0.0.1:{free_port()}", "REDIS_CALL_MS": "300"}

    # when
    saved, shown = upgraded.run(*NIGHTLY, **away), upgraded.run("cron", "list", "--json", **away)
    sync, trigger = upgraded.run("cron", "sync", **away), upgraded.run("cron", "trigger", "nightly", **away)

    # then
    assert saved.returncode == 0
    assert "its scheduler follows with the next pass of a worker" in saved.stderr
    assert len(json.loads(shown.stdout)) == 1
    assert (sync.returncode, trigger.returncode) == (1, 1)
    assert sync.stderr.count("\n") == trigger.stderr.count("\n") == 1
