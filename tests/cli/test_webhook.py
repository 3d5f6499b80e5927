"""`jobqueue db upgrade` and `jobqueue webhook`."""

from __future__ import annotations

import json

import pytest

from tests.cli.terminal import Terminal

URL = "https://example.com/hook"


@pytest.fixture
def upgraded(terminal: Terminal) -> Terminal:
    terminal.run("db", "upgrade")
    return terminal


def test_upgrading_twice_is_fine(terminal: Terminal) -> None:
    # when
    first, second = terminal.run("db", "upgrade"), terminal.run("db", "upgrade")

    # then
    assert (first.returncode, second.returncode) == (0, 0)
    assert "is up to date" in second.stdout


def test_a_database_away_is_told_without_its_password(terminal: Terminal) -> None:
    # when
    done = terminal.run("db", "upgrade", DATABASE_URL="postgresql+asyncpg://me:hunter2@127.0.0.1:1/jobs")

    # then
    assert done.returncode == 1
    assert "127.0.0.1:1" in done.stderr
    assert "hunter2" not in done.stderr
    assert done.stderr.count("\n") == 1


def test_a_missing_table_says_what_to_do(terminal: Terminal) -> None:
    # when
    done = terminal.run("webhook", "list")

    # then
    assert done.returncode == 1
    assert "jobqueue db upgrade" in done.stderr


def test_a_subscription_is_added_and_listed(upgraded: Terminal) -> None:
    # when
    added = json.loads(upgraded.run("webhook", "add", "--model", "order", "--url", URL, "--json").stdout)

    # then
    assert (added["model"], added["url"], added["isActive"]) == ("order", URL, True)
    assert json.loads(upgraded.run("webhook", "list", "--json").stdout) == [added]
    assert added["id"] in upgraded.run("webhook", "list").stdout, "nothing is cut in a pipe"


def test_adding_prints_the_id_alone_and_says_the_rest_beside(upgraded: Terminal) -> None:
    """`id=$(jobqueue webhook add …)` took a sentence."""
    # when
    added = upgraded.run("webhook", "add", "--model", "order", "--url", URL, "--new-secret")

    # then
    (stored,) = json.loads(upgraded.run("webhook", "list", "--json").stdout)
    assert added.stdout == f"{stored['id']}\n"
    assert f"changes of order go to {URL}" in added.stderr
    assert "whsec_" in added.stderr


def test_a_new_secret_is_shown_once(upgraded: Terminal) -> None:
    # when
    added = upgraded.run("webhook", "add", "--model", "order", "--url", URL, "--new-secret", "--json")

    # then
    assert json.loads(added.stdout)["secret"].startswith("whsec_")
    assert "whsec_" not in upgraded.run("webhook", "list", "--json").stdout


def test_a_wrong_address_names_its_option(upgraded: Terminal) -> None:
    # when http is refused, since ENVIRONMENT does not say local
    done = upgraded.run("webhook", "add", "--model", "order", "--url", "http://example.com/")

    # then
    assert done.returncode == 2
    assert "--url" in done.stderr


def test_a_local_environment_may_call_itself(upgraded: Terminal) -> None:
    # when
    done = upgraded.run("webhook", "add", "--model", "order", "--url", "http://localhost:9000/", ENVIRONMENT="local")

    # then
    assert done.returncode == 0


def test_enabling_needs_a_subscription_that_exists(upgraded: Terminal) -> None:
    # given
    added = json.loads(upgraded.run("webhook", "add", "--model", "order", "--url", URL, "--json").stdout)

    # when
    good, bad = upgraded.run("webhook", "enable", added["id"]), upgraded.run("webhook", "enable", "nobody")

    # then
    assert good.stdout == f"subscription {added['id']} is active\n"
    assert (bad.returncode, "'nobody'" in bad.stderr) == (1, True)
