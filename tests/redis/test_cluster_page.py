"""The code in docs/cluster.md does what the page says, on a real cluster."""

from __future__ import annotations

import asyncio
import re
import runpy
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel
from redis.crc import key_slot

from jobqueue import JobContext, Registry, make_job
from tests.conftest import MakeSettings
from tests.support.redis_groups import SLOTS, running_cluster

PAGE = Path(__file__).parents[2] / "docs" / "cluster.md"


@pytest.fixture
def page(tmp_path: Path) -> dict[str, Any]:
    """The names that the page's code defines."""
    file = tmp_path / "shards.py"
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    file.write_text("\n".join(blocks), encoding="utf-8")
    return runpy.run_path(str(file))


class Step(BaseModel):
    order_id: str
    number: int


async def test_one_process_serves_all_shards_and_the_steps_of_an_order_keep_their_order(
    page: dict[str, Any], settings: MakeSettings
) -> None:
    ran: defaultdict[str, list[int]] = defaultdict(list)

    async def book(ctx: JobContext, step: Step) -> int:
        ran[step.order_id].append(step.number)
        await asyncio.sleep(0.01)  # the work, so that steps could overtake one another
        return step.number

    with running_cluster() as cluster:
        shards = page["Shards"](Registry([make_job(book)]), settings(redis_url=cluster.url))
        told_to_end = asyncio.Event()
        serving = asyncio.ensure_future(page["serve"](shards, told_to_end))
        steps = [Step(order_id=f"o{order}", number=number) for number in range(5) for order in range(20)]
        jobs = [await page["enqueue"](shards, step) for step in steps]
        assert [await job.wait(20) for job in jobs] == [step.number for step in steps]
        told_to_end.set()
        await serving
        await shards.close()

    assert ran == {f"o{order}": [0, 1, 2, 3, 4] for order in range(20)}


async def test_the_shards_are_spread_over_the_masters_and_a_key_keeps_its_shard(
    page: dict[str, Any], settings: MakeSettings
) -> None:
    shards = page["Shards"](page["registry"], settings(redis_url="redis+cluster://nowhere:1"))

    masters = {key_slot(prefix.encode()) * 3 // SLOTS for prefix in page["PREFIXES"]}
    chosen = [shards.of(f"order:{number}").settings.jobs_prefix for number in range(1_000)]
    await shards.close()

    assert masters == {0, 1, 2}, "each of three masters has some of the prefixes"
    assert set(chosen) == set(page["PREFIXES"])
    assert chosen[:4] == ["{orders-3}", "{orders-6}", "{orders-7}", "{orders-6}"], "for ever"
