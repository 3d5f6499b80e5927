"""Health: two questions that anyone may ask, answered without a word about where things are."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from board.errors import Refused
from board.json import Json
from jobqueue.problems import Problem

_log = logging.getLogger("board")

READY_S: Final = 5.0

Check = Callable[[], Awaitable[None]]


def health_routes(checks: dict[str, Check]) -> list[Route]:
    """`/healthz` and `/readyz`, for whoever serves nothing else."""
    health = Health(checks)
    return [Route("/healthz", health.alive, methods=["GET"]), Route("/readyz", health.ready, methods=["GET"])]


@dataclass(frozen=True, slots=True)
class Health:
    """`alive`: the loop turns. `ready`: each of the checks returns, without an error and in time.

    The name of a check is a field of the answer.
    """

    checks: dict[str, Check]

    async def alive(self, request: Request) -> Response:
        return Json({"data": {"status": "ok"}})

    async def ready(self, request: Request) -> Response:
        answers = await asyncio.gather(*(_answers(name, check) for name, check in self.checks.items()))
        away = [name for name, answered in zip(self.checks, answers, strict=True) if not answered]
        if away:
            raise Refused(Problem(503, "unavailable", f"not ready: {' and '.join(away)} cannot be reached"))
        return Json({"data": {"status": "ok"} | dict.fromkeys(self.checks, "ok")})


async def _answers(name: str, check: Check) -> bool:
    """Whatever a check raises means that it is not ready."""
    try:
        async with asyncio.timeout(READY_S):
            await check()
    except Exception as error:
        _log.warning("%s is not ready: %s: %s", name, type(error).__name__, error)
        return False
    return True
