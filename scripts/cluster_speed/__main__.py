"""The command: `python -m scripts.cluster_speed --rounds 5 --jobs 20000`: one master, then three, in turn."""

from __future__ import annotations

import argparse
import asyncio
import itertools
import statistics
import sys
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Final, TypeAlias

from redis.crc import key_slot

from scripts.chaos.report import machine
from scripts.cluster_speed.measuring import STEPS, Step, measure
from tests.support.redis_groups import RedisCluster, running_cluster
from tests.support.redis_server import RedisServer

MASTERS: Final = 3
CONCURRENCY: Final = 100

_Seen: TypeAlias = Mapping[tuple[str, int], Sequence[Step]]
"""By step and number of masters, one of each round."""

_COLUMNS: Final[Mapping[str, Callable[[Step], float]]] = {
    "jobs/s": lambda step: step.rate,
    "program, µs of CPU a job": lambda step: step.program_us,
    "Redis, µs of CPU a job": lambda step: step.redis_us,
    "to Redis, bytes a job": lambda step: step.in_bytes,
    "from Redis, bytes a job": lambda step: step.out_bytes,
    "memory, bytes a job": lambda step: step.memory_bytes,
    "RSS of a program, MB": lambda step: step.rss_mb,
}


def main(arguments: Sequence[str]) -> None:
    """Measure, and print a table."""
    asked = _parser().parse_args(arguments)
    with running_cluster(MASTERS) as cluster:
        seen = asyncio.run(_rounds(cluster, asked.rounds, asked.jobs))
    date = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    sys.stdout.write(f"{date}; {machine()}; {asked.rounds} rounds of {asked.jobs:,} jobs for each master\n\n")
    sys.stdout.write("\n".join(_table(seen)) + "\n")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m scripts.cluster_speed", description="How fast is a cluster here?")
    parser.add_argument("--rounds", type=int, default=5, help="how often one and three masters take turns (default 5)")
    parser.add_argument("--jobs", type=int, default=20_000, help="jobs for each master (default 20,000)")
    return parser


async def _rounds(cluster: RedisCluster, rounds: int, jobs: int) -> _Seen:
    masters = _masters(cluster)
    seen: defaultdict[tuple[str, int], list[Step]] = defaultdict(list)
    for number in range(rounds):
        for count in (1, MASTERS) if number % 2 == 0 else (MASTERS, 1):
            first = number % MASTERS if count == 1 else 0
            steps = await measure(cluster, masters[first : first + count], jobs, CONCURRENCY)
            for word, step in steps.items():
                seen[word, count].append(step)
            sys.stderr.write(f"round {number + 1}, {count} masters: {[round(step.rate) for step in steps.values()]}\n")
    return seen


def _masters(cluster: RedisCluster) -> list[tuple[RedisServer, str]]:
    """Each master with a prefix whose queues it has."""
    found: dict[int, tuple[RedisServer, str]] = {}
    for number in itertools.count():
        prefix = f"{{speed-{number}}}"
        owner = cluster.owner(key_slot(prefix.encode()))
        found.setdefault(owner.port, (owner, prefix))
        if len(found) == MASTERS:
            break
    return list(found.values())


def _table(seen: _Seen) -> Iterator[str]:
    """Medians with the lowest and the highest round."""
    yield f"| step | masters | {' | '.join(_COLUMNS)} | of one master, jobs/s | × one master |"
    yield "| --- | " + "---: | " * (len(_COLUMNS) + 3)
    for word in STEPS:
        alone = seen[word, 1]
        for count in (1, MASTERS):
            steps = seen[word, count]
            cells = [_spread([value(step) for step in steps]) for value in _COLUMNS.values()]
            times = [step.rate / one.rate for step, one in zip(steps, alone, strict=True)]
            each = _spread([rate for step in steps for rate in step.rates])
            yield f"| {word} | {count} | {' | '.join(cells)} | {each} | {_spread(times, 2)} |"


def _spread(values: Sequence[float], digits: int = 0) -> str:
    median, least, most = (f"{value:,.{digits}f}" for value in (statistics.median(values), min(values), max(values)))
    return f"{median} ({least}–{most})"


if __name__ == "__main__":
    main(sys.argv[1:])
