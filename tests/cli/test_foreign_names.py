"""What commands print of jobs that somebody else has named: one line each, and nothing that a terminal obeys."""

from __future__ import annotations

import json
import re

from redis.asyncio import Redis

from tests.cli.terminal import Terminal
from tests.worker.harness import ask

NASTY = "42\r\n\x1b[2J\x1b]0;owned\x07\x9b31m\u202e\u2028 state completed"
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e]")


async def foreign_job(redis: Redis, prefix: str) -> None:
    """A job that another program has written as it likes."""
    base = f"{prefix}:jobs:"
    data = json.dumps({"type": "adhoc", "payload": {NASTY: NASTY}, "createdBy": NASTY, "orderKey": NASTY})
    fields = {"name": NASTY, "data": data, "opts": "{}", "timestamp": "1", "failedReason": NASTY, "finishedOn": "1"}
    stack = json.dumps([f"Error: {NASTY}\n at {NASTY}"])
    flat = [part for pair in (fields | {"stacktrace": stack}).items() for part in pair]
    await ask(redis, "HSET", f"{base}{NASTY}", *flat)
    await ask(redis, "ZADD", f"{base}failed", 1, NASTY)
    await ask(redis, "RPUSH", f"{base}{NASTY}:logs", NASTY)
    await ask(redis, "HSET", f"{base}meta", "version", "bullmq:6.0.0")


async def test_a_shown_job_takes_no_line_of_its_own_and_nothing_is_obeyed(
    terminal: Terminal, redis: Redis, prefix: str
) -> None:
    await foreign_job(redis, prefix)

    shown = terminal.run("jobs", "show", "--", NASTY)
    as_json = terminal.run("jobs", "show", "--json", "--", NASTY)
    cancelled = terminal.run("jobs", "cancel", "--", NASTY)
    checked = terminal.run("doctor", JOBS_QUEUE="jobs")

    assert shown.returncode == 0, shown.stderr
    assert [line for line in shown.stdout.splitlines() if line.startswith("state")] == ["state      failed"]
    said = [shown.stdout, as_json.stdout, cancelled.stdout, cancelled.stderr, checked.stdout]
    assert [text for text in said if OBEYED.search(text)] == []
    assert json.loads(as_json.stdout)["jobId"] == NASTY
