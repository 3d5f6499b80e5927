"""The Node program behind the tests: starts it, asks it line by line, and ends it."""

from __future__ import annotations

import asyncio
import itertools
import json
import shutil
from collections import deque
from collections.abc import Mapping
from pathlib import Path
from typing import Self

from pydantic import BaseModel, JsonValue

HERE = Path(__file__).parent
LINE_LIMIT_BYTES = 64 * 1024 * 1024
END_LIMIT_S = 15.0
STDERR_LINES = 60


class NodePeerError(Exception):
    """Node refused a command, did not answer in time, or is gone; the message carries its standard error."""


class _Fault(BaseModel):
    name: str
    message: str
    code: JsonValue = None


class _Answer(BaseModel):
    id: int | None
    result: JsonValue = None
    error: _Fault | None = None


class NodeProcess:
    """One running `peer.mjs`: a command goes in as a line of JSON, its answer comes back as another.

    Concurrency: commands may be asked at the same time; each waits for its own answer.
    """

    def __init__(self, redis_url: str) -> None:
        self._redis_url = redis_url
        self._ids = itertools.count(1)
        self._pending: dict[int, asyncio.Future[_Answer]] = {}
        self._stderr: deque[str] = deque(maxlen=STDERR_LINES)
        self._readers: list[asyncio.Task[None]] = []
        self._process: asyncio.subprocess.Process | None = None

    async def __aenter__(self) -> Self:
        pipe = asyncio.subprocess.PIPE
        self._process = await asyncio.create_subprocess_exec(
            _node(), str(HERE / "peer.mjs"), self._redis_url,
            stdin=pipe, stdout=pipe, stderr=pipe, limit=LINE_LIMIT_BYTES, cwd=HERE,
        )  # fmt: skip
        self._readers = [
            asyncio.create_task(self._read_answers(_stream(self._process.stdout))),
            asyncio.create_task(self._read_stderr(_stream(self._process.stderr))),
        ]
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        status = await self._end()
        if status != 0 and kind is None:
            raise NodePeerError(self._with_stderr(f"the Node peer ended with exit status {status}, not 0"))

    async def call(self, command: str, args: Mapping[str, JsonValue], timeout_s: float) -> JsonValue:
        """Ask one command and wait for its answer.

        Raises: NodePeerError, if Node answers with an error, not within `timeout_s`, or never will.
        """
        process = self._started()
        stdin = process.stdin
        if stdin is None or stdin.is_closing() or process.returncode is not None:
            raise NodePeerError(self._with_stderr(f"{command}: the Node peer has ended"))
        request = next(self._ids)
        answer: asyncio.Future[_Answer] = asyncio.get_running_loop().create_future()
        self._pending[request] = answer
        try:
            async with asyncio.timeout(timeout_s):
                stdin.write(_line(request, command, args))
                await stdin.drain()
                return self._result(command, await answer)
        except TimeoutError:
            message = f"{command}: no answer from the Node peer within {timeout_s} s"
            raise NodePeerError(self._with_stderr(message)) from None
        finally:
            self._pending.pop(request, None)

    def _result(self, command: str, answer: _Answer) -> JsonValue:
        if answer.error is None:
            return answer.result
        code = "" if answer.error.code is None else f" (code {answer.error.code})"
        raise NodePeerError(self._with_stderr(f"{command}: {answer.error.message}{code}"))

    async def _read_answers(self, stdout: asyncio.StreamReader) -> None:
        async for line in stdout:
            answer = _Answer.model_validate_json(line)
            waiting = None if answer.id is None else self._pending.get(answer.id)
            if waiting is not None and not waiting.done():
                waiting.set_result(answer)
        gone = NodePeerError(self._with_stderr("the Node peer ended before it answered"))
        for waiting in self._pending.values():
            if not waiting.done():
                waiting.set_exception(gone)

    async def _read_stderr(self, stderr: asyncio.StreamReader) -> None:
        async for line in stderr:
            self._stderr.append(line.decode(errors="replace").rstrip())

    async def _end(self) -> int:
        process = self._started()
        if process.stdin is not None:
            process.stdin.close()
        try:
            async with asyncio.timeout(END_LIMIT_S):
                status = await process.wait()
        except TimeoutError:
            process.kill()
            status = await process.wait()
        await asyncio.gather(*self._readers)
        return status

    def _started(self) -> asyncio.subprocess.Process:
        if self._process is None:
            raise NodePeerError("the Node peer has not been started: use `async with`")
        return self._process

    def _with_stderr(self, message: str) -> str:
        if not self._stderr:
            return message
        return "\n".join([message, "standard error of the Node peer:", *self._stderr])


def _line(request: int, command: str, args: Mapping[str, JsonValue]) -> bytes:
    return json.dumps({"id": request, "command": command, "args": dict(args)}).encode() + b"\n"


def _stream(stream: asyncio.StreamReader | None) -> asyncio.StreamReader:
    if stream is None:
        raise NodePeerError("the Node peer was started without its pipes")
    return stream


def _node() -> str:
    node = shutil.which("node")
    if node is None:
        raise NodePeerError("no `node` on PATH: install Node 20 or later (Debian's package nodejs)")
    if not (HERE / "node_modules" / "bullmq").is_dir():
        raise NodePeerError(f"no node_modules in {HERE}: run `npm install --no-package-lock` there")
    return node
