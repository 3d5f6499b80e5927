"""Measuring: queues on their masters, all at once; what they and Redis spent on each job."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final, NamedTuple

from scripts.cluster_speed.one_queue import Told
from tests.support.redis_groups import RedisCluster, ask
from tests.support.redis_server import RedisServer

STEPS: Final = ("store", "run")
PROJECT: Final = Path(__file__).parents[2]
_STEP_S: Final = 600.0


class Spent(NamedTuple):
    """What a master had spent so far: seconds of its main thread's CPU, bytes that came and went, bytes of memory."""

    cpu_s: float
    in_bytes: int
    out_bytes: int
    memory_bytes: int


@dataclass(frozen=True, slots=True)
class Step:
    """One step of one round, over all masters in use.

    Units: jobs a second; microseconds of CPU a job; bytes a job. `rates` are those of the masters, one by one;
    `rate` counts all jobs over the time from the first start to the last end.
    """

    rate: float
    rates: tuple[float, ...]
    program_us: float
    redis_us: float
    in_bytes: float
    out_bytes: float
    memory_bytes: float
    rss_mb: float


class QueueFailed(RuntimeError):
    """The process of a queue ended before it answered."""


async def measure(
    cluster: RedisCluster, masters: Sequence[tuple[RedisServer, str]], jobs: int, concurrency: int
) -> Mapping[str, Step]:
    """Store and run so many jobs on each master, whose queue has the prefix beside it. Raises: QueueFailed."""
    for node in cluster.nodes:
        ask(node.port, "FLUSHALL")
    async with AsyncExitStack() as opened:
        processes = [await _started(opened, cluster.url, prefix, jobs, concurrency) for _, prefix in masters]
        return {step: await _step(step, [server for server, _ in masters], processes, jobs) for step in STEPS}


async def _started(
    opened: AsyncExitStack, url: str, prefix: str, jobs: int, concurrency: int
) -> asyncio.subprocess.Process:
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig", "KILL", "--", sys.executable, "-m", "scripts.cluster_speed.one_queue"),
        *(url, prefix, str(jobs), str(concurrency)),
        cwd=PROJECT,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    opened.push_async_callback(_end, process)
    return process


async def _end(process: asyncio.subprocess.Process) -> None:
    """An empty line ends it."""
    if process.stdin is not None and process.returncode is None:
        process.stdin.write(b"\n")
    await process.wait()


async def _step(
    word: str, servers: Sequence[RedisServer], processes: Sequence[asyncio.subprocess.Process], jobs: int
) -> Step:
    before = [_spent(server) for server in servers]
    told = await asyncio.gather(*(_tell(process, word) for process in processes))
    after = [_spent(server) for server in servers]
    all_jobs = jobs * len(servers)
    cpu_s, in_bytes, out_bytes, memory_bytes = (
        sum(later[field] - earlier[field] for earlier, later in zip(before, after, strict=True)) for field in range(4)
    )
    return Step(
        rate=all_jobs / (max(one.ended_s for one in told) - min(one.began_s for one in told)),
        rates=tuple(jobs / (one.ended_s - one.began_s) for one in told),
        program_us=sum(one.cpu_s for one in told) / all_jobs * 1e6,
        redis_us=cpu_s / all_jobs * 1e6,
        in_bytes=in_bytes / all_jobs,
        out_bytes=out_bytes / all_jobs,
        memory_bytes=memory_bytes / all_jobs,
        rss_mb=max(one.rss_mb for one in told),
    )


async def _tell(process: asyncio.subprocess.Process, word: str) -> Told:
    """Have it take one step. Raises: QueueFailed."""
    if process.stdin is None or process.stdout is None:
        raise QueueFailed("its standard input and output are not ours")
    process.stdin.write(f"{word}\n".encode())
    async with asyncio.timeout(_STEP_S):
        line = await process.stdout.readline()
    if not line:
        raise QueueFailed(f"it ended with {await process.wait()} when it was to {word}")
    return Told(**json.loads(line))


def _spent(server: RedisServer) -> Spent:
    said = dict(line.strip().split(":", 1) for line in ask(server.port, "INFO", "everything") if ":" in line)
    cpu_s = float(said["used_cpu_user_main_thread"]) + float(said["used_cpu_sys_main_thread"])
    bytes_of = (int(said[name]) for name in ("total_net_input_bytes", "total_net_output_bytes", "used_memory"))
    return Spent(cpu_s, *bytes_of)
