"""The scripts: BullMQ's own, unchanged, and ours around them."""

from __future__ import annotations

import hashlib
import re
from importlib.resources import files
from pathlib import Path

import pytest
from redis.asyncio import Redis

import jobqueue
from jobqueue.app import App
from jobqueue.registry import Registry
from jobqueue.scripts import Script, around, own, shipped
from tests.conftest import MakeSettings

LUA = Path(jobqueue.__file__).parent / "lua"
OWN = sorted(file.stem for file in LUA.glob("*.lua"))
ALONE = [name for name in OWN if "shipped(" not in (LUA / f"{name}.lua").read_text() and not name.startswith("_")]
AROUND = [
    *(("addTied", name, "addParentJob") for name in ("addStandardJob", "addDelayedJob", "addPrioritizedJob")),
    ("enterTied", "moveToActive"),
    *(("endTry", name) for name in ("moveToFinished", "moveToDelayed", "retryJob", "moveJobFromActiveToWait")),
    ("endTry", "moveToWaitingChildren"),
    ("cancelJob", "moveToFinished"),
    ("stalledCheck", "moveStalledJobsToWait"),
    ("retryByHand", "reprocessJob"),
    ("putScheduler", "addJobScheduler", "removeJobScheduler", "removeJob"),
    ("dropScheduler", "removeJobScheduler", "removeJob"),
    ("cleanSome", "cleanJobsInSet"),
    ("drainSome", "drain"),
    ("removeTied", "removeJob"),
    *(("whileHeld", name) for name in ("addLog", "updateProgress", "updateJobScheduler", "removeUnprocessedChildren")),
]
SHIPPED = [
    *("addStandardJob", "addDelayedJob", "addPrioritizedJob", "moveToActive", "moveToFinished", "moveToDelayed"),
    *("retryJob", "moveJobFromActiveToWait", "extendLocks", "moveStalledJobsToWait", "updateJobScheduler"),
    *("isFinished", "addLog", "updateProgress"),
]


def shipped_text(name: str) -> str:
    (entry,) = [entry for entry in (files("bullmq") / "commands").iterdir() if entry.name.rpartition("-")[0] == name]
    return entry.read_text(encoding="utf-8")


@pytest.mark.parametrize("name", SHIPPED)
def test_a_shipped_script_is_the_packages_file_unchanged(name: str) -> None:
    script = shipped(name)

    assert script.text == shipped_text(name)
    assert script.sha == hashlib.sha1(script.text.encode(), usedforsecurity=False).hexdigest()


@pytest.mark.parametrize("parts", AROUND)
def test_a_script_of_ours_contains_the_shipped_ones_unchanged(parts: tuple[str, ...]) -> None:
    text = around(*parts).text

    assert all(shipped_text(inner) in text for inner in parts[1:])


def test_a_word_that_the_package_does_not_ship_is_named() -> None:
    with pytest.raises(LookupError, match="'moveToNowhere'"):
        shipped("moveToNowhere")


def test_an_included_file_stands_where_it_is_included() -> None:
    text = around("enterTied", "moveToActive").text

    assert "local function claimLane" in text
    assert "-- include" not in text


@pytest.mark.parametrize("name", [name for name in OWN if not name.startswith("_")])
def test_each_script_of_ours_opens_with_its_purpose_keys_and_answer(name: str) -> None:
    head, _, _ = (LUA / f"{name}.lua").read_text().partition("]]")

    assert re.match(r"--\[\[\n  [A-Z]", head)
    assert "KEYS" in head
    assert "Returns: " in head


def every_script() -> list[Script]:
    return [*map(own, ALONE), *(around(*pair) for pair in AROUND), *map(shipped, SHIPPED)]


async def test_redis_takes_every_script_and_gives_it_the_hash_that_we_do(redis: Redis) -> None:
    for script in every_script():
        assert await redis.script_load(script.text) == script.sha, script.name


def test_every_file_of_ours_is_tried_here() -> None:
    tried = {*ALONE, *(parts[0] for parts in AROUND)}

    assert {name for name in OWN if not name.startswith("_")} == tried


async def test_a_script_that_redis_has_forgotten_is_loaded_again(settings: MakeSettings, redis: Redis) -> None:
    async with App(Registry(), settings()) as app:
        queue = app.queue()
        assert (await queue.outcome("1"))[0] == "missing"

        await redis.script_flush()

        assert (await queue.outcome("1"))[0] == "missing"


async def test_a_script_that_fails_is_told_by_redis_own_words(settings: MakeSettings) -> None:
    broken = Script.of("broken", "return redis.call('NO SUCH COMMAND')")

    async with App(Registry(), settings()) as app:
        with pytest.raises(jobqueue.JobqueueError, match="Unknown Redis command"):
            await app.client.run(broken, [], [])
