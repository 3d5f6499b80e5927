"""Data that are made to cost much, or to break a reader, cost one job and nothing else."""

from __future__ import annotations

import ast
import json
import re
from typing import Final

import pytest
from redis.asyncio import Redis

from jobqueue import JobContext, JobqueueError, make_job
from jobqueue.cron import fields, zones
from jobqueue.redis.url import read_url
from tests.conftest import MakeSettings
from tests.security.source import sources
from tests.worker.harness import add_raw, at_work

MANY: Final = 100_000
BOMBS: Final = {
    "deep lists": "[" * MANY + "]" * MANY,
    "deep objects": '{"a":' * MANY + "1" + "}" * MANY,
    "a deep text that is JSON": json.dumps("[" * MANY),
    "a huge whole number": "1" * MANY,
    "a huge exponent": "1e999999999",
    "an empty name many times": "{" + ",".join(['"":1'] * MANY) + "}",
    "the same name twice": '{"a":1,"a":2}',
    "a hundred thousand names": json.dumps({f"name {number}": number for number in range(MANY)}),
    "no end": '{"a": "',
    "half a surrogate": '"\\ud800"',
    "a zero byte": '"\\u0000"',
}
PARTS: Final = ("a", "1", " ", "-", "0-", "*/", "a.", ",", "[", "{", "\\", "x@", "/a", "é")
NASTY: Final = tuple(f"1{part * 20_000}!" for part in PARTS)
"""Many of the same, and an end that does not fit: a pattern that can divide them in several ways tries them all."""


@make_job(attempts=1)
async def take(ctx: JobContext, payload: object) -> None:
    """Takes anything."""


@pytest.mark.parametrize("name", list(BOMBS))
async def test_a_bomb_ends_and_the_next_job_runs(name: str, settings: MakeSettings, redis: Redis) -> None:
    async with at_work(settings(), take) as site:
        envelope = f'{{"type": "adhoc", "payload": {BOMBS[name]}}}'
        job = {"name": "take", "data": envelope, "opts": "{}", "timestamp": "1700000000000"}
        await add_raw(redis, site.app.queue().keys, "bomb", job)
        after = await site.app.enqueue_job(take, 1)

        bombed = await site.end_of("bomb", 30)
        assert await site.end_of(after.job_id, 30) == ("completed", "null")

    assert bombed[0] in ("completed", "failed")
    assert len(bombed[1] or "") < 11_000, "the reason does not carry the bomb along"


def patterns() -> list[re.Pattern[str]]:
    """Every pattern in the source that is a text of its own."""
    texts = [
        argument.value
        for source in sources()
        for name, call in source.calls()
        if name in {f"re.{how}" for how in ("compile", "match", "search", "fullmatch", "sub", "findall", "split")}
        for argument in call.args[:1]
        if isinstance(argument, ast.Constant) and isinstance(argument.value, str)
    ]
    return [re.compile(text) for text in texts]


def test_no_pattern_takes_long_for_any_text() -> None:
    """The test's own time limit is what fails. The numbers of a form once took 37 s here, and a megabyte a day."""
    found = patterns()

    for pattern in found:
        for text in NASTY:
            pattern.fullmatch(text)
            pattern.match(text)

    assert len(found) > 30


@pytest.mark.parametrize("text", NASTY, ids=lambda text: text[:2])
def test_a_long_pattern_zone_or_url_is_refused(text: str) -> None:
    """A cron pattern was once stripped before it was found too long: spaces inside it took 5 s, more of them hours."""
    for read in (fields.read, zones.zone_named, read_url):
        with pytest.raises(JobqueueError):
            read(text)
