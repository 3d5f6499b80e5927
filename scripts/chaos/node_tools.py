"""Node tools: a person with a BullMQ tool, who retries, removes and promotes jobs behind our back."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, NamedTuple, TypeAlias

from scripts.chaos.ground import QUEUE, Ground
from scripts.chaos.ledger import clock_us

Action: TypeAlias = Literal["retry", "retryCompleted", "remove", "promote", "retryJobs"]


class ToolGone(Exception):
    """The Node process has ended."""


class Deed(NamedTuple):
    """One thing that was asked for. `answer` is `done`, or why BullMQ refused. Units: epoch microseconds."""

    action: Action
    target: str
    asked_us: int
    answer: str


@dataclass(frozen=True, slots=True)
class NodeTools:
    """One Node process, and all that it did. Concurrency: one call at a time."""

    answers: asyncio.StreamReader
    calls: asyncio.StreamWriter
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    deeds: list[Deed] = field(default_factory=list[Deed])

    async def do(self, action: Action, target: str) -> str:
        """Do it to the job `target` (for retryJobs: to all of that state); returns `done`, or why BullMQ refused.

        A caller that is cancelled waits for the answer all the same: what was done must be known.
        Raises: ToolGone.
        """
        call = asyncio.ensure_future(self._call(action, target))
        try:
            return await asyncio.shield(call)
        except asyncio.CancelledError:
            await call
            raise

    @property
    def removed(self) -> dict[str, int]:
        """The jobs that were removed, and when that was asked for."""
        return {d.target: d.asked_us for d in self.deeds if d.action == "remove" and d.answer == "done"}

    async def _call(self, action: Action, target: str) -> str:
        async with self.turn:
            asked_us = clock_us()
            self.calls.write(json.dumps([action, target]).encode() + b"\n")
            line = await self.answers.readline()
            if not line:
                raise ToolGone(f"the Node process ended at {action} {target}; its words are on standard error")
            answer = str(json.loads(line))
            self.deeds.append(Deed(action, target, asked_us, answer))
            return answer


@asynccontextmanager
async def node_tools(site: Ground) -> AsyncGenerator[NodeTools]:
    """A Node process with BullMQ's Queue on this ground, until the block ends."""
    program = Path(__file__).with_name("node_tools.mjs")
    process = await asyncio.create_subprocess_exec(
        *("setpriv", "--pdeathsig", "KILL", "--", "node", str(program)),
        *(str(site.server.port), site.settings.jobs_prefix, QUEUE),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    if process.stdin is None or process.stdout is None:
        raise ToolGone("the Node process has no pipes")
    try:
        yield NodeTools(process.stdout, process.stdin)
    finally:
        process.stdin.close()
        await process.wait()
