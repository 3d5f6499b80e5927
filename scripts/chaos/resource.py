"""Resource: something outside Redis that singletons write to, and that refuses a fence smaller than it has seen."""

from __future__ import annotations

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final, NamedTuple

from scripts.chaos.ledger import clock_us

SOCKET: Final = "resource.sock"


class Write(NamedTuple):
    """One write that was asked for, by the run (job, claim)."""

    key: str
    fence: int
    job_id: str
    claim: int
    at_us: int
    accepted: bool


class Resource:
    """Keeps the greatest fence for each key. Concurrency: one event loop, so writes come one after another."""

    def __init__(self) -> None:
        self.writes: list[Write] = []
        self._greatest: defaultdict[str, int] = defaultdict(int)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one write: a line of JSON, `[key, fence, job id, claim]`, with `true` or `false`."""
        line = await reader.readline()
        if line:
            key, fence, job_id, claim = json.loads(line)
            accepted = fence >= self._greatest[key]
            self._greatest[key] = max(fence, self._greatest[key])
            self.writes.append(Write(key, fence, job_id, claim, clock_us(), accepted))
            writer.write(json.dumps(accepted).encode() + b"\n")
        writer.close()


@asynccontextmanager
async def serving(folder: Path) -> AsyncGenerator[Resource]:
    """A resource that answers at `folder/resource.sock` until the block ends."""
    resource = Resource()
    server = await asyncio.start_unix_server(resource.serve, folder / SOCKET)
    async with server:
        yield resource


async def write(folder: Path, key: str, fence: int, job_id: str, claim: int) -> bool:
    """Write as a worker does; False where the resource refused. Raises: OSError where nobody serves it."""
    reader, writer = await asyncio.open_unix_connection(folder / SOCKET)
    writer.write(json.dumps([key, fence, job_id, claim]).encode() + b"\n")
    answer = await reader.readline()
    writer.close()
    return answer == b"true\n"
