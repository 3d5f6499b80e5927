"""Delivery: one POST to the address that was checked, in five seconds in all."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import TypeAlias

import httpcore

from handlers.outside.address import parse_url
from handlers.outside.client import OutsideClient
from handlers.outside.errors import ForbiddenAddress, InvalidUrl, NoAnswer

MAX_ANSWER_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver answered with 2xx."""

    status_code: int


@dataclass(frozen=True, slots=True)
class Unreachable:
    """No answer, 404 or 5xx."""

    error: str


@dataclass(frozen=True, slots=True)
class Refused:
    """Any other answer, or an address that webhooks must not reach."""

    error: str


Answer: TypeAlias = Delivered | Unreachable | Refused


class WebhookDelivery(OutsideClient):
    """The client that posts bodies."""

    async def post(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Post the body once; what went wrong is in the answer.

        The status line decides. The rest of the answer is read, as far as the time and 64 KiB go, so that the
        receiver can finish writing it, and dropped.
        """
        status_code: int | None = None
        try:
            target = parse_url(url, allow_private=self.allow_private)
            async with self.request("POST", target, headers, body) as response:
                status_code = response.status
                await _drain(response)
        except (InvalidUrl, ForbiddenAddress) as error:
            return Refused(str(error))
        except NoAnswer as error:
            if status_code is None:
                return Unreachable(str(error))
        return judge(status_code)


def judge(status_code: int) -> Answer:
    """What a status means for the delivery."""
    if 200 <= status_code < 300:
        return Delivered(status_code)
    phrase = _phrase(status_code)
    if status_code == 404 or status_code >= 500:
        return Unreachable(phrase)
    if 300 <= status_code < 400:
        return Refused(f"{phrase}: redirects are not followed")
    return Refused(phrase)


def _phrase(status_code: int) -> str:
    try:
        return f"{status_code} {HTTPStatus(status_code).phrase}"
    except ValueError:
        return str(status_code)


async def _drain(response: httpcore.Response) -> None:
    left_bytes = MAX_ANSWER_BYTES
    async for chunk in response.aiter_stream():
        left_bytes -= len(chunk)
        if left_bytes <= 0:
            return
