"""Patience: a body is waited for so long and no longer, so that nobody holds a connection by sending none."""

from __future__ import annotations

import asyncio
from typing import Final

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from board.errors import Refused
from jobqueue.problems import Problem

BODY_S: Final = 30.0
"""For the whole body, from when the app asks for it."""

_TOO_SLOW: Final = Problem(408, "too_slow", "the body did not come in time", headers={"connection": "close"})


class Patience:
    """Middleware: whoever reads a body that does not come gets Refused with 408."""

    def __init__(self, app: ASGIApp, seconds: float = BODY_S) -> None:
        self._app = app
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        ends_at: float | None = None
        is_whole = has_started = False

        async def receive_in_time() -> Message:
            nonlocal ends_at, is_whole
            if is_whole:
                return await receive()
            ends_at = ends_at or asyncio.get_running_loop().time() + self._seconds
            try:
                async with asyncio.timeout_at(ends_at):
                    message = await receive()
            except TimeoutError as error:
                if has_started:  # it is answered, and only watched for its end
                    return {"type": "http.disconnect"}
                raise Refused(_TOO_SLOW) from error
            is_whole = not message.get("more_body", False)
            return message

        async def send_noted(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        await self._app(scope, receive_in_time, send_noted)
