"""One Node process for many tests, each of which has an event loop of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Thread

from pydantic import JsonValue

from tests.interop.node_process import NodeProcess


@dataclass(frozen=True, slots=True)
class SharedNode:
    """A Node process whose pipes belong to the loop of a thread. Concurrency: asked from any loop."""

    process: NodeProcess
    loop: asyncio.AbstractEventLoop

    async def call(self, command: str, args: Mapping[str, JsonValue], timeout_s: float) -> JsonValue:
        """As `NodeProcess.call`."""
        asked = asyncio.run_coroutine_threadsafe(self.process.call(command, args, timeout_s), self.loop)
        return await asyncio.wrap_future(asked)


@contextmanager
def shared_node(redis_url: str) -> Generator[SharedNode]:
    """Node runs until the block ends. Raises: NodePeerError where it does not end well."""
    loop, process = asyncio.new_event_loop(), NodeProcess(redis_url)
    thread = Thread(target=loop.run_forever, name="node")
    thread.start()
    try:
        asyncio.run_coroutine_threadsafe(process.__aenter__(), loop).result()
        try:
            yield SharedNode(process, loop)
        finally:
            asyncio.run_coroutine_threadsafe(process.__aexit__(None), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
