"""Listening: an open page's event stream, as a test hears it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import httpx
from pydantic import BaseModel, TypeAdapter

LONGEST_S = 20.0


class Told(NamedTuple):
    """One message: `live`, `changed`, `away` or `back`."""

    event: str
    data: str


class Changed(BaseModel):
    """What a `changed` message says."""

    queues: list[str]
    jobs: list[str]


CHANGED: TypeAdapter[Changed] = TypeAdapter(Changed)


class Stream:
    """The lines that come, message by message."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self._lines: AsyncIterator[str] = response.aiter_lines()

    async def line(self) -> str:
        async with asyncio.timeout(LONGEST_S):
            return await anext(self._lines)

    async def next(self) -> Told:
        """The next message; comments and what is no message are passed over. Raises: StopAsyncIteration."""
        fields: dict[str, str] = {}
        async with asyncio.timeout(LONGEST_S):
            while True:
                line = await anext(self._lines)
                name, _, value = line.partition(": ")
                if not line and "event" in fields:
                    return Told(fields["event"], fields["data"])
                fields = fields | {name: value} if line else {}

    async def changed(self) -> Changed:
        """The next message, which must be that something changed."""
        told = await self.next()
        assert told.event == "changed"
        return CHANGED.validate_json(told.data)

    async def until_end(self) -> list[str]:
        """All that still comes."""
        async with asyncio.timeout(LONGEST_S):
            return [line async for line in self._lines]


@asynccontextmanager
async def opened(board: str, query: str = "") -> AsyncGenerator[Stream]:
    """The answer of the board at this address, which may be a refusal."""
    async with httpx.AsyncClient(timeout=LONGEST_S) as client, client.stream("GET", f"{board}/live{query}") as response:
        yield Stream(response)


@asynccontextmanager
async def listening(board: str, query: str = "") -> AsyncGenerator[Stream]:
    """An open stream, once it misses nothing any more and has told what happened right before."""
    async with opened(board, query) as stream:
        assert (await stream.next()).event == "live"
        yield stream
