"""The handlers of R7: they block the event loop of their worker, each in its manner, at their first claim."""

from __future__ import annotations

import asyncio
import ctypes
import re
import time
from collections.abc import Callable
from typing import Final, Literal, NamedTuple, TypeAlias

from jobqueue import JobContext, Registry, make_job, make_singleton_job
from jobqueue.job import Keep
from scripts.chaos import resource
from scripts.chaos.ledger import Ledger

Manner: TypeAlias = Literal["sleep", "loop", "regex", "power", "C sleep"]
HOLDS_GIL: Final[frozenset[Manner]] = frozenset({"regex", "power", "C sleep"})
"""While these block no thread of the process runs."""

_ALL: Final = Keep()
_SLOW: Final = re.compile("a*a*a*a*b")
_TRIAL: Final = 100
_TRIAL_BITS: Final = 400_000
_POWER_OF_LENGTH: Final = 4
_POWER_OF_BITS: Final = 1.585


class Block(NamedTuple):
    """How long the first run of a job blocks, and in which manner; how long a run after that works."""

    key: str
    manner: Manner
    block_ms: int
    again_ms: int


def by_sleep(block_s: float) -> None:
    """Lets other threads run."""
    time.sleep(block_s)


def by_loop(block_s: float) -> None:
    """Lets other threads run now and then."""
    until_s = time.monotonic() + block_s
    while time.monotonic() < until_s:
        pass


def by_regex(block_s: float) -> None:
    """Four stars over n letters take n⁴ steps, of which a trial tells the length."""
    began_s = time.thread_time()
    _SLOW.match("a" * _TRIAL)
    trial_s = time.thread_time() - began_s
    _SLOW.match("a" * int(_TRIAL * (block_s / trial_s) ** (1 / _POWER_OF_LENGTH)))


def by_power(block_s: float) -> None:
    """Python multiplies by Karatsuba's way."""
    began_s = time.thread_time()
    pow(3, _TRIAL_BITS)
    trial_s = time.thread_time() - began_s
    pow(3, int(_TRIAL_BITS * (block_s / trial_s) ** (1 / _POWER_OF_BITS)))


def by_c_sleep(block_s: float) -> None:
    """A function of C that is called with the GIL held."""
    ctypes.PyDLL(None).usleep(int(block_s * 1e6))


BLOCKS: Final[dict[Manner, Callable[[float], None]]] = {
    "sleep": by_sleep,
    "loop": by_loop,
    "regex": by_regex,
    "power": by_power,
    "C sleep": by_c_sleep,
}


class Refused(Exception):
    """The resource has seen a greater fence."""


async def _run(ctx: JobContext, block: Block) -> int:
    """Block, or be the run after that; returns the number of the claim. The ledger gets how long it took."""
    ledger, how = Ledger.of_environment(), "cut"
    ledger.start(ctx, block.key, str(ctx.fence or ""))
    try:
        if ctx.job.attempts_started == 1:
            BLOCKS[block.manner](block.block_ms / 1000)
        else:
            await asyncio.sleep(block.again_ms / 1000)  # the work
        how = "finished"
        return ctx.job.attempts_started
    finally:
        ledger.end(ctx, how)


@make_job(name="blocks", attempts=1, max_claims=100, keep_completed=_ALL, keep_failed=_ALL)
async def blocks(ctx: JobContext, block: Block) -> int:
    """Hold nothing but the job's own lock."""
    return await _run(ctx, block)


def _key(block: Block) -> str:
    return block.key


@make_singleton_job(
    key=_key,
    on_busy="wait",
    name="blocksAlone",
    attempts=1,
    max_claims=100,
    keep_completed=_ALL,
    keep_failed=_ALL,
)
async def blocks_alone(ctx: JobContext, block: Block) -> int:
    """Hold a singleton's lock too, and write to the fenced resource before and after."""
    folder, claim = Ledger.of_environment().path.parent, ctx.job.attempts_started
    fence = ctx.fence or 0
    if not await resource.write(folder, block.key, fence, ctx.job.id, claim):
        raise Refused(f"fence {fence} is too old")
    returned = await _run(ctx, block)
    if not await resource.write(folder, block.key, fence, ctx.job.id, claim):
        raise Refused(f"fence {fence} is too old")
    return returned


@make_job(name="sibling", attempts=1, max_claims=100, keep_completed=_ALL, keep_failed=_ALL)
async def sibling(ctx: JobContext, work_ms: int) -> int:
    """Work beside one that blocks."""
    ledger, how = Ledger.of_environment(), "cut"
    ledger.start(ctx, "sibling")
    try:
        await asyncio.sleep(work_ms / 1000)  # the work
        how = "finished"
        return ctx.job.attempts_started
    finally:
        ledger.end(ctx, how)


registry = Registry([blocks, blocks_alone, sibling])
