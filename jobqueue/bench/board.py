"""Board: how long each page and route takes to answer while a queue holds a million jobs."""

from __future__ import annotations

import socket
import sys
import tempfile
import time
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, TypeAlias

import httpx

from jobqueue.bench import child
from jobqueue.bench.filling import Load, fill
from jobqueue.bench.lineup import Places
from jobqueue.bench.results import Spread
from jobqueue.bench.server import HOST, Server, free_port

LIMIT_MS: Final = 100.0
"""What the median of each page should stay below."""

_QUEUE: Final = "jobs"
_START_S: Final = 30.0
_POLL_S: Final = 0.1

Told: TypeAlias = Callable[[int], None]
"""Is told a number as it grows: jobs that are there, rounds that are complete."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One page or route: what it is, and its address."""

    title: str
    path: str


@dataclass(frozen=True, slots=True)
class Timed:
    """How long an address took to answer, from the request to its last byte, and how large the answer is."""

    asked: Asked
    took_ms: Spread
    size_bytes: int


def addresses(load: Load) -> Iterator[Asked]:
    """Every kind of page, and those that are deep in a list."""
    board, queue = "/bullBoard", f"/bullBoard/queues/{_QUEUE}"
    failed_id, waiting_id = load.completed + 1, load.completed + load.failed + 1
    yield Asked("overview", board)
    yield Asked("queue", queue)
    yield Asked("queue, a week", f"{queue}?span=week")
    for state, count in (("completed", load.completed), ("failed", load.failed), ("waiting", load.waiting)):
        yield Asked(f"{state} jobs", f"{queue}/{state}")
        yield Asked(f"{state} jobs, 100 a page", f"{queue}/{state}?limit=100")
        yield Asked(f"{state} jobs, half way down", f"{queue}/{state}?offset={count // 2}")
        yield Asked(f"{state} jobs, the last page", f"{queue}/{state}?offset={max(count - 50, 0)}")
    yield Asked("delayed jobs", f"{queue}/delayed")
    yield Asked("jobs of all states", f"{queue}/all")
    yield Asked("jobs of all states, further down", f"{queue}/all?offset=5000")
    yield Asked("search: a handler's jobs", f"{queue}/completed?name=resizeImage")
    yield Asked("search: a text that few have", f"{queue}/completed?q=order-12345")
    yield Asked("search: a text that none has", f"{queue}/completed?q=no-such-thing")
    yield Asked("search: a text that all have", f"{queue}/completed?q=customer")
    yield Asked("search: a text, in all states", f"{queue}/all?q=no-such-thing")
    yield Asked("search: an object", f"{queue}/completed?related=order:77")
    yield Asked("search: a time", f"{queue}/completed?from=2020-01-01&to=2100-01-01&offset=400000")
    yield Asked("failed jobs that were cancelled", f"{queue}/failed?cancelled=true")
    yield Asked("find by id", f"{board}/find?q={failed_id}")
    yield Asked("a failed job", f"{queue}/jobs/{failed_id}")
    yield Asked("a waiting job", f"{queue}/jobs/{waiting_id}")
    yield Asked("a job, to be enqueued again", f"{queue}/jobs/{failed_id}/again")
    yield Asked("cron", f"{board}/cron")
    yield Asked("a new cron job", f"{board}/cron/new")
    yield Asked("handlers", f"{board}/handlers")
    yield Asked("a handler", f"{board}/handlers/sendWebhook")
    yield Asked("workers", f"{board}/workers")
    yield Asked("audit", f"{board}/audit")
    yield Asked("JSON: jobs, the last page", f"/api/admin/job?state=completed&offset={max(load.completed - 50, 0)}")
    yield Asked("JSON: search in all states", "/api/admin/job?q=no-such-thing")
    yield Asked("JSON: a job", f"/api/admin/job/{failed_id}")
    yield Asked("JSON: queues", "/api/admin/queue")
    yield Asked("metrics", "/metrics")


def measure(
    server: Server, places: Places, load: Load, rounds: int, on_filled: Told, on_round: Told
) -> tuple[Timed, ...]:
    """Fill the queue, serve the board in a process of its own, and ask each address in turn, `rounds` times.

    Ctrl-C keeps the rounds that are complete. Raises: ProgramFailed, also where an address does not answer 200.
    """
    server.clear()
    fill(server.url, f"bull:{_QUEUE}:", load, on_filled)
    asked = tuple(addresses(load))
    taken: dict[Asked, list[float]] = {one: [] for one in asked}
    sizes: dict[Asked, int] = {}
    with _serving(server, places) as address, httpx.Client(base_url=address, timeout=60.0) as client:
        try:
            for one in asked:
                sizes[one] = _ask(client, one)[1]  # the first answer compiles the template
            for number in range(1, rounds + 1):
                for one in asked:
                    taken[one].append(_ask(client, one)[0])
                on_round(number)
        except KeyboardInterrupt:
            pass
    return tuple(_timed(one, taken[one], sizes[one]) for one in asked if taken[one])


def _timed(asked: Asked, taken_ms: list[float], size_bytes: int) -> Timed:
    spread = Spread.of(taken_ms)
    if spread is None:
        raise child.ProgramFailed("nothing was measured")
    return Timed(asked, spread, size_bytes)


def _ask(client: httpx.Client, asked: Asked) -> tuple[float, int]:
    began_s = time.perf_counter()
    answer = client.get(asked.path, follow_redirects=False)
    took_ms = (time.perf_counter() - began_s) * 1000
    if answer.status_code not in (200, 303, 307):
        raise child.ProgramFailed(f"{asked.path} answered {answer.status_code}: {answer.text[:200]}")
    return took_ms, len(answer.content)


@contextmanager
def _serving(server: Server, places: Places) -> Generator[str]:
    """`jobqueue serve` with the handlers that come with it, in a folder of its own; its address."""
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="jobqueue-bench-") as folder:
        environment = {
            **places.environment(),
            "ENVIRONMENT": "local",
            "REDIS_URL": server.url,
            "DATABASE_URL": f"sqlite+aiosqlite:///{Path(folder) / 'board.db'}",
            "JOBS_REGISTRY": "handlers:registry",
            "LOG_LEVEL": "error",
        }
        jobqueue = [sys.executable, "-m", "jobqueue.cli"]
        child.told_by([*jobqueue, "db", "upgrade"], environment, pinned=False)
        with child.started([*jobqueue, "serve", "--port", str(port)], environment, pinned=False):
            _await_port(port)
            yield f"http://{HOST}:{port}"


def _await_port(port: int) -> None:
    give_up_at = time.monotonic() + _START_S
    while time.monotonic() < give_up_at:
        try:
            socket.create_connection((HOST, port), timeout=1.0).close()
        except OSError:
            time.sleep(_POLL_S)
        else:
            return
    raise child.ProgramFailed(f"the board did not answer within {_START_S:g} s")


def as_table(timed: tuple[Timed, ...]) -> str:
    """Units: milliseconds, the median with the lowest and the highest; kilobytes."""
    return "\n".join(_rows(timed))


def _rows(timed: tuple[Timed, ...]) -> Iterator[str]:
    yield "| page | median, ms | lowest–highest | kB |"
    yield "| --- | ---: | ---: | ---: |"
    for one in timed:
        spread = one.took_ms
        median = f"**{spread.median:.1f}**" if spread.median >= LIMIT_MS else f"{spread.median:.1f}"
        yield f"| {one.asked.title} | {median} | {spread.low:.1f}–{spread.high:.1f} | {one.size_bytes / 1000:.0f} |"


def smaller(load: Load, jobs: int | None) -> Load:
    """As `load`, with at most that many jobs of each state."""
    if jobs is None:
        return load
    least = min(load.completed, jobs), min(load.failed, jobs), min(load.waiting, jobs), min(load.delayed, jobs)
    return Load(*least)
