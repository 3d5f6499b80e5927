"""Examination: every check of an installation, in the order in which to mend things."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Final

from jobqueue.app import App
from jobqueue.clock import now_ms
from jobqueue.database import open_database, parse_database_url
from jobqueue.doctor.check import Check, Status
from jobqueue.doctor.leaks import LOOK_AGAIN_S, MAX_SCANNED, search
from jobqueue.doctor.ownership import check_bullmq_keys, check_gates, check_own_keys
from jobqueue.doctor.parking import check_parked
from jobqueue.errors import DatabaseUnavailable, QueueVersionError, RedisError
from jobqueue.queue import Queue
from jobqueue.redis.client import Client
from jobqueue.upgrades import pending

OLDEST_REDIS: Final = (6, 2)
SKEW_WARNING_MS: Final = 500
SKEW_ERROR_MS: Final = 5_000

_DISTRIBUTION = "jobqueue"
_REQUIREMENT = re.compile(r"(?P<name>[A-Za-z0-9._-]+)(?:\[[^\]]*\])?(?:==(?P<pinned>\S+))?")


async def examine(
    app: App,
    version_locations: Sequence[Path],
    *,
    queues: Sequence[str] = (),
    max_scanned: int = MAX_SCANNED,
    pause_s: float = LOOK_AGAIN_S,
) -> list[Check]:
    """Every check, in the order in which to mend things. Never raises for what it looks for.

    The queues are those of the registry, unless others are named. What seems to be leaked is looked at again after a
    pause.
    """
    checks = [_check_python(), *_check_packages()]
    try:
        checks += await _examine_redis(app, queues or app.queue_names(), max_scanned, pause_s)
    except RedisError as error:
        advice = "Start Redis, or set REDIS_URL to where it is."
        checks.append(Check("redis", "error", str(error), advice))
    checks.append(await _check_database(app.settings.database_url, version_locations))
    return checks


def _check_python() -> Check:
    return Check("python", "ok", ".".join(map(str, sys.version_info[:3])))


def _check_packages() -> Iterator[Check]:
    """What this distribution requires: is it there, and is what is pinned the pinned version?"""
    try:
        requirements = metadata.requires(_DISTRIBUTION) or []
    except metadata.PackageNotFoundError:
        yield Check("packages", "warning", "jobqueue runs, but is not installed", "Install it with pip.")
        return
    present: list[str] = []
    for name, pinned in _needed(requirements):
        wanted = f"{name}=={pinned}" if pinned else name
        try:
            version = metadata.version(name)
        except metadata.PackageNotFoundError:
            yield Check(f"package {name}", "error", "is not installed", f"Run pip install '{wanted}'.")
            continue
        present.append(f"{name} {version}")
        if pinned and version != pinned:
            detail = f"{version} is installed, {pinned} is needed: its scripts are what goes over the wire"
            yield Check(f"package {name}", "error", detail, f"Run pip install '{wanted}'.")
    yield Check("packages", "ok", ", ".join(sorted(present)))


def _needed(requirements: Sequence[str]) -> Iterator[tuple[str, str | None]]:
    """Name and pinned version of each requirement that is no extra's."""
    for requirement in requirements:
        wanted, _, marker = requirement.partition(";")
        found = _REQUIREMENT.match(wanted)
        if found is not None and "extra" not in marker:
            yield found["name"], found["pinned"]


# Redis


async def _examine_redis(app: App, queues: Sequence[str], max_scanned: int, pause_s: float) -> list[Check]:
    client = app.client
    info = _parse_info(await client.call("INFO"))
    checks = [
        Check("redis", "ok", f"answers at {client.address}"),
        _check_version(info),
        _check_memory_policy(info),
        _check_persistence(info),
        await _check_clock(client),
    ]
    for name in queues:
        queue = app.queue(name)
        found = await search(queue, max_scanned=max_scanned, pause_s=pause_s)
        checks += [
            await _check_queue_version(queue),
            check_own_keys(queue, found, max_scanned),
            check_gates(queue, found),
            check_bullmq_keys(queue, found, max_scanned),
            await check_parked(queue, max_scanned),
        ]
    return checks


def _parse_info(text: str) -> dict[str, str]:
    lines = (line.partition(":") for line in text.splitlines())
    return {name: value for name, colon, value in lines if colon}


def _check_version(info: dict[str, str]) -> Check:
    version = info.get("redis_version", "0")
    parts = tuple(int(part) for part in re.findall(r"\d+", version)[:2])
    oldest = ".".join(map(str, OLDEST_REDIS))
    if parts < OLDEST_REDIS:
        return Check("redis version", "error", f"{version} is too old", f"Upgrade to Redis {oldest} or newer.")
    valkey = info.get("valkey_version")
    return Check("redis version", "ok", f"{version} (Valkey {valkey})" if valkey else version)


def _check_memory_policy(info: dict[str, str]) -> Check:
    policy = info.get("maxmemory_policy", "unknown")
    if policy == "noeviction":
        return Check("maxmemory-policy", "ok", policy)
    advice = "Run CONFIG SET maxmemory-policy noeviction, and put it into redis.conf."
    return Check("maxmemory-policy", "error", f"{policy}: Redis may throw jobs away when it is full", advice)


def _check_persistence(info: dict[str, str]) -> Check:
    if info.get("aof_enabled") != "1":
        detail = "the append-only file is off: a crash of Redis loses the jobs since its last snapshot"
        advice = "Run CONFIG SET appendonly yes, and put it into redis.conf."
        return Check("append-only file", "warning", detail, advice)
    if info.get("aof_last_write_status", "ok") != "ok":
        advice = "Look at Redis's log and at its disk."
        return Check("append-only file", "error", "Redis could not write it", advice)
    return Check("append-only file", "ok", "on")


async def _check_clock(client: Client) -> Check:
    """Delays and locks are timed by both clocks. Half a round trip is the error of this measurement."""
    asked_ms = now_ms()
    seconds, micros = await client.call("TIME")
    answered_ms = now_ms()
    skew_ms = round(int(seconds) * 1000 + int(micros) / 1000 - (asked_ms + answered_ms) / 2)
    where = f"Redis is {abs(skew_ms)} ms {'ahead of' if skew_ms > 0 else 'behind'} this machine"
    if abs(skew_ms) < SKEW_WARNING_MS:
        return Check("clock", "ok", where)
    status: Status = "warning" if abs(skew_ms) < SKEW_ERROR_MS else "error"
    return Check("clock", status, f"{where}: delayed jobs start at the wrong time", "Run NTP on both machines.")


async def _check_queue_version(queue: Queue) -> Check:
    name = f"queue {queue.name}"
    try:
        await queue.check_version()
    except QueueVersionError as error:
        advice = "Stop every BullMQ 5 process, resume the queue with the tool that paused it, and let it drain."
        return Check(name, "error", str(error), advice)
    return Check(name, "ok", "holds no BullMQ 5 data")


# Database


async def _check_database(database_url: str, version_locations: Sequence[Path]) -> Check:
    missing_file = _missing_file(database_url)
    if missing_file is not None:
        return Check("database", "error", f"there is no file {missing_file}", "Run jobqueue db upgrade.")
    async with open_database(database_url) as database:
        try:
            missing = await pending(database, version_locations)
        except DatabaseUnavailable as error:
            advice = "Start the database, or set DATABASE_URL to where it is."
            return Check("database", "error", str(error), advice)
        if missing:
            detail = f"{database.address} lacks {', '.join(missing)}"
            return Check("database", "error", detail, "Run jobqueue db upgrade.")
        return Check("database", "ok", f"{database.address} is up to date")


def _missing_file(database_url: str) -> Path | None:
    """The file of an SQLite database, where it is not there: a look must not make it."""
    url = parse_database_url(database_url)
    if url.get_backend_name() != "sqlite" or url.database in (None, "", ":memory:"):
        return None
    path = Path(url.database)
    return None if path.exists() else path
