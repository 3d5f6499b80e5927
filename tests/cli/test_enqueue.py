"""`jobqueue enqueue` and `jobqueue jobs show`."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest
from redis.asyncio import Redis

from tests.cli.terminal import Terminal
from tests.support.eventually import eventually
from tests.support.processes import free_port


async def test_a_job_is_stored_and_its_id_printed(terminal: Terminal, redis: Redis, prefix: str) -> None:
    # when
    done = terminal.run("enqueue", "order", '{"number": 7}', "--attempts", "9")

    # then
    assert (done.returncode, done.stdout) == (0, "1\n"), "what id=$(jobqueue enqueue …) takes"
    assert done.stderr == "enqueued order as job 1 in queue jobs\n"
    data = await redis.hget(f"{prefix}:jobs:1", "data")
    assert json.loads(data or "")["payload"]["number"] == 7


def test_the_payload_may_come_from_standard_input(terminal: Terminal) -> None:
    # when
    done = terminal.run("enqueue", "order", "-", "--json", "--queue", "mail", typed='{"number": 8}')

    # then
    assert json.loads(done.stdout) == {
        "jobId": "1",
        "name": "order",
        "queue": "mail",
        "created": True,
        "outboxed": False,
    }


def test_a_second_job_of_one_id_is_said_not_to_be_stored(terminal: Terminal) -> None:
    # given
    words = ("enqueue", "order", '{"number": 1}', "--job-id", "nightly")
    terminal.run(*words)

    # when
    done = terminal.run(*words)

    # then
    assert (done.returncode, done.stdout) == (0, "nightly\n")
    assert done.stderr == "job nightly is in queue jobs already; nothing was stored\n"


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (("nobody",), "'nobody'"),
        (("order", "{"), "payload"),
        (("order", '{"number": NaN}'), "NaN"),
        (("order", '{"number": "many"}'), "payload.number"),
        (("refuse", "--attempts", "0"), "attempts"),
        (("refuse", "--delay-ms", "1", "--run-at", "2099-01-01T00:00:00Z"), "run_at"),
        (("refuse", "--run-at", "tomorrow"), "run_at"),
        (("refuse", "--run-at", "2099-01-01T00:00:00"), "run_at"),
        (("refuse", "--backoff-ms", "-1"), "backoff_ms: must be 0 or more, not -1"),
        (("refuse", "--job-id", "1234"), "job_id"),
        (("refuse", "--queue", "a:b"), "queue"),
        (("refuse", "--order-key", "a\tb"), "order_key"),
        (("refuse", "--related", "order"), "related: must be TYPE:ID, like order:7, not 'order'"),
        (("refuse", "--related", ":7"), "related"),
        (("refuse", "--related", "order:"), "related"),
        (("refuse", "--created-by", ""), "created_by"),
        (("refuse", "--expires-in-ms", "0"), "expires_in_ms"),
    ],
)
async def test_bad_input_is_named_before_anything_is_written(
    terminal: Terminal, redis: Redis, prefix: str, words: tuple[str, ...], named: str
) -> None:
    # when
    done = terminal.run("enqueue", *words)

    # then
    assert done.returncode == 2
    assert named in done.stderr
    assert done.stderr.count("\n") == 1, "one line"
    assert await redis.keys(f"{prefix}:*") == []


def test_a_payload_nested_too_deeply_is_named(terminal: Terminal) -> None:
    # when
    done = terminal.run("enqueue", "order", "-", typed="[" * 200_000)

    # then
    assert (done.returncode, done.stderr.count("\n")) == (2, 1)
    assert "nested too deeply" in done.stderr


@pytest.mark.parametrize(
    ("redirection", "status", "named"),
    [("<&-", 2, "standard input is closed"), (">/dev/full", 1, "standard output: No space left")],
)
def test_a_stream_that_cannot_be_used_is_named(terminal: Terminal, redirection: str, status: int, named: str) -> None:
    # when
    done = terminal.run_in_shell(f"enqueue refuse - {redirection}" if status == 2 else f"enqueue refuse {redirection}")

    # then
    assert done.returncode == status
    assert named in done.stderr
    assert "Traceback" not in done.stderr


def test_redis_away_is_told_soon_with_its_address(terminal: Terminal) -> None:
    # given
    port = free_port()
    began_s = time.monotonic()

    # when
    done = terminal.run("enqueue", "refuse", REDIS_URL=f"redis://127.0.0.1:{port}/0")

    # then
    assert done.returncode == 1
    assert f"127.0.0.1:{port}" in done.stderr
    assert done.stderr.count("\n") == 1
    assert time.monotonic() - began_s < 20, "a producer does not wait for Redis"


def test_waiting_prints_the_result_or_the_failure(terminal: Terminal) -> None:
    with terminal.running("worker"):
        # when
        plain = terminal.run("enqueue", "order", '{"number": 2}', "--wait", "30")
        good = terminal.run("enqueue", "order", '{"number": 3}', "--wait", "30", "--json")
        bad = terminal.run("enqueue", "refuse", "--wait", "30")

    # then
    assert (plain.returncode, plain.stdout) == (0, '"sent 2"\n')
    assert (good.returncode, json.loads(good.stdout)["result"]) == (0, "sent 3")
    assert bad.returncode == 1
    assert "out of stock" in bad.stderr


def test_waiting_ends_while_the_job_goes_on(terminal: Terminal) -> None:
    # when
    done = terminal.run("enqueue", "refuse", "--wait", "0.1")

    # then
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith("enqueued refuse as job 1")
    assert "has not finished within 0.1 s" in done.stderr


async def test_ctrl_c_ends_a_short_command_quietly(terminal: Terminal) -> None:
    with terminal.running("enqueue", "refuse", "--wait", "600") as waiting:
        # given
        await eventually(lambda: waiting.has_said("enqueued refuse"), 40.0)

        # when
        waiting.press_ctrl_c()

        # then
        assert waiting.wait() == 130
        assert waiting.said() == "enqueued refuse as job 1 in queue jobs\n"


def shown(terminal: Terminal, job_id: str) -> dict[str, Any]:
    view: dict[str, Any] = json.loads(terminal.run("jobs", "show", job_id, "--json").stdout)
    return view


def test_a_job_is_shown_with_its_log_and_without_its_secrets(terminal: Terminal) -> None:
    # given
    with terminal.running("worker"):
        terminal.run("enqueue", "order", '{"number": 3, "card": "4111-1111"}', "--wait", "30")

    # when
    view, text = shown(terminal, "1"), terminal.run("jobs", "show", "1").stdout

    # then
    assert (view["state"], view["result"], view["payload"]["number"]) == ("completed", "sent 3", 3)
    assert any("packing 3" in line for line in view["logs"])
    assert "packing 3" in text
    assert "4111" not in text + json.dumps(view)


def test_a_job_that_is_not_there_ends_with_1(terminal: Terminal) -> None:
    # when
    done = terminal.run("jobs", "show", "99")

    # then
    assert (done.returncode, done.stderr) == (1, "error: no job '99' in queue 'jobs'\n")


async def test_nothing_in_a_job_can_move_the_cursor(terminal: Terminal, redis: Redis, prefix: str) -> None:
    # given a foreign job whose name clears a screen
    await redis.hset(
        f"{prefix}:jobs:x",
        mapping={"name": "\x1b[2Jboo", "data": '"\\u001b[2J"', "opts": "{}", "timestamp": "1", "delay": "0"},
    )

    # when
    done = terminal.run("jobs", "show", "x")

    # then
    assert "\x1b" not in done.stdout
    assert "boo" in done.stdout
