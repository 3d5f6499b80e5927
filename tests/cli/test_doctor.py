"""`jobqueue doctor`: each fault is found, named and comes with what to do."""

from __future__ import annotations

import json
from pathlib import Path

from redis.asyncio import Redis

from handlers.migrations import FOLDER
from jobqueue.app import App
from jobqueue.doctor import Check, examine
from jobqueue.upgrades import upgrade
from tests.cli.terminal import Terminal
from tests.conftest import MakeSettings
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer


async def checks_of(settings: MakeSettings, **changes: object) -> dict[str, Check]:
    async with App(settings=settings(**changes)) as app:
        return {check.name: check for check in await examine(app, [FOLDER], pause_s=0)}


async def test_a_healthy_system_has_nothing_but_ok(
    settings: MakeSettings, own_redis: RedisServer, sqlite_url: str
) -> None:
    # given
    await upgrade(sqlite_url, [FOLDER])

    # when
    checks = await checks_of(settings, redis_url=own_redis.url)

    # then
    assert {name: check for name, check in checks.items() if check.status != "ok"} == {}
    assert "bullmq" in checks["packages"].detail


async def test_a_redis_that_evicts_is_an_error(settings: MakeSettings, own_redis: RedisServer) -> None:
    # given
    async with own_redis.client() as redis:
        await redis.config_set("maxmemory-policy", "allkeys-lru")

    # when
    check = (await checks_of(settings, redis_url=own_redis.url))["maxmemory-policy"]

    # then
    assert check.status == "error"
    assert "noeviction" in (check.advice or "")


async def test_a_redis_without_a_log_is_a_warning(settings: MakeSettings) -> None:
    # when the shared Redis runs without an append-only file
    check = (await checks_of(settings))["append-only file"]

    # then
    assert (check.status, "appendonly yes" in (check.advice or "")) == ("warning", True)


async def test_data_of_bullmq_5_is_an_error(settings: MakeSettings, redis: Redis, prefix: str) -> None:
    # given
    await redis.hset(f"{prefix}:jobs:meta", "version", "bullmq:5.34.0")

    # when
    check = (await checks_of(settings))["queue jobs"]

    # then
    assert check.status == "error"
    assert "5.34.0" in check.detail


async def test_a_redis_that_was_looked_at_in_part_is_said_to_be(settings: MakeSettings, own_redis: RedisServer) -> None:
    # given more keys than are looked at
    async with own_redis.client() as redis:
        await redis.mset({f"foreign:{number}": "" for number in range(3_000)})

    # when
    async with App(settings=settings(redis_url=own_redis.url)) as app:
        whole, part = [
            next(
                check
                for check in await examine(app, [FOLDER], max_scanned=most, pause_s=0)
                if check.name == "own keys of jobs"
            )
            for most in (100_000, 1_000)
        ]

    # then
    assert (whole.status, part.status) == ("ok", "ok")
    assert "Redis holds more" not in whole.detail
    assert "found among 1000 keys; Redis holds more" in part.detail


async def test_looking_at_a_database_does_not_make_it(settings: MakeSettings, tmp_path: Path) -> None:
    # when
    check = (await checks_of(settings))["database"]

    # then
    assert check.status == "error"
    assert "db upgrade" in (check.advice or "")
    assert list(tmp_path.glob("*.db")) == []


def test_the_command_tells_all_and_ends_with_1_on_an_error(terminal: Terminal) -> None:
    # given
    port = free_port()

    # when
    done = terminal.run("doctor", "--json", REDIS_URL=f"redis://127.0.0.1:{port}/0")

    # then
    report = json.loads(done.stdout)
    found = {check["name"]: check for check in report["checks"]}
    assert (done.returncode, report["ok"]) == (1, False)
    assert f"127.0.0.1:{port}" in found["redis"]["detail"]
    assert found["registry"]["status"] == "ok"


def test_the_command_ends_with_0_where_there_are_only_warnings(terminal: Terminal) -> None:
    # given
    terminal.run("db", "upgrade")

    # when
    done = terminal.run("doctor")

    # then
    assert done.returncode == 0
    assert "warning append-only file" in done.stdout
