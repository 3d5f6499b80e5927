"""One POST to a real receiver: what each answer means, and that it ends in time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import pytest

from handlers.webhooks.delivery import Answer, Delivered, Refused, Unreachable, WebhookDelivery
from tests.handlers.support.receiver import (
    Reaction,
    answer,
    babble,
    close,
    drip_body,
    drip_head,
    flood,
    hang,
    receiving,
)

SHORT_S = 0.3
"""A time limit for receivers that never finish; the product's is five seconds."""


async def post(url: str, *, timeout_s: float = 5.0, body: bytes = b"{}") -> Answer:
    async with WebhookDelivery(allow_private=True, timeout_s=timeout_s) as delivery:
        return await delivery.post(url, {"X-Test": "1"}, body)


@pytest.mark.parametrize(
    ("status_code", "expected"),
    [
        (200, Delivered(200)),
        (201, Delivered(201)),
        (204, Delivered(204)),
        (300, Refused("300 Multiple Choices: redirects are not followed")),
        (304, Refused("304 Not Modified: redirects are not followed")),
        (400, Refused("400 Bad Request")),
        (401, Refused("401 Unauthorized")),
        (404, Unreachable("404 Not Found")),
        (410, Refused("410 Gone")),
        (429, Refused("429 Too Many Requests")),
        (499, Refused("499")),
        (500, Unreachable("500 Internal Server Error")),
        (503, Unreachable("503 Service Unavailable")),
        (599, Unreachable("599")),
    ],
)
async def test_the_status_decides_what_the_answer_means(status_code: int, expected: Answer) -> None:
    async with receiving(answer(status_code)) as receiver:
        assert await post(receiver.url) == expected


async def test_the_request_is_one_post_with_exactly_the_bytes_and_headers_that_were_given() -> None:
    body = b'{"text":"\\u00fc"}\n'
    async with receiving() as receiver:
        await post(f"{receiver.url}?a=b%20c#fragment", body=body)

    (request,) = receiver.requests
    assert request.request_line == "POST /hook?a=b%20c HTTP/1.1"
    assert request.body == body
    assert request.headers == {
        "host": f"127.0.0.1:{receiver.port}",
        "x-test": "1",
        "content-length": str(len(body)),
        "connection": "close",
    }


@pytest.mark.parametrize("status_code", [301, 302, 303, 307, 308])
async def test_a_redirect_is_refused_and_its_target_is_not_called(status_code: int) -> None:
    async with (
        receiving() as target,
        receiving(answer(status_code, headers=f"Location: {target.url}\r\n")) as one,
    ):
        told = await post(one.url)

    assert isinstance(told, Refused)
    assert str(status_code) in told.error
    assert target.requests == []


async def test_a_receiver_that_does_not_answer_is_unreachable_when_the_time_is_up() -> None:
    async with receiving(hang) as receiver:
        assert await post(receiver.url, timeout_s=SHORT_S) == Unreachable("no answer within 0.3 s")


async def test_headers_that_drip_do_not_stretch_the_time() -> None:
    async with receiving(drip_head) as receiver, asyncio.timeout(10):
        assert await post(receiver.url, timeout_s=SHORT_S) == Unreachable("no answer within 0.3 s")


async def test_a_body_that_drips_does_not_stretch_the_time_and_its_status_counts() -> None:
    async with receiving(drip_body) as receiver, asyncio.timeout(10):
        assert await post(receiver.url, timeout_s=SHORT_S) == Delivered(200)


async def test_a_body_without_end_is_read_to_its_limit_only() -> None:
    async with receiving(flood) as receiver, asyncio.timeout(4):
        assert await post(receiver.url) == Delivered(200)


async def test_a_name_service_that_hangs_does_not_stretch_the_time() -> None:
    async def resolve_never(host: str, port: int) -> Sequence[str]:
        await asyncio.Event().wait()
        return []

    async with WebhookDelivery(allow_private=True, resolve=resolve_never, timeout_s=SHORT_S) as delivery:
        assert await delivery.post("http://example.com", {}, b"") == Unreachable("no answer within 0.3 s")


@pytest.mark.parametrize(("reaction", "reason"), [(close, "RemoteProtocolError"), (babble, "RemoteProtocolError")])
async def test_a_receiver_that_does_not_speak_http_is_unreachable(reaction: Reaction, reason: str) -> None:
    async with receiving(reaction) as receiver:
        told = await post(receiver.url)

    assert isinstance(told, Unreachable)
    assert reason in told.error


async def test_a_port_where_nobody_listens_is_unreachable_with_its_reason() -> None:
    async with receiving() as receiver:
        closed_url = receiver.url

    told = await post(closed_url)

    assert isinstance(told, Unreachable)
    assert "ConnectError" in told.error


async def test_a_name_that_does_not_exist_is_unreachable_with_its_reason() -> None:
    told = await post("http://nobody.invalid")

    assert isinstance(told, Unreachable)
    assert "gaierror" in told.error


async def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    async with receiving() as proxy, receiving() as receiver:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, proxy.url)

        assert await post(receiver.url) == Delivered(200)

    assert proxy.requests == []


async def test_twenty_slow_receivers_are_served_at_once() -> None:
    """A pool of ten connections let the eleventh wait for its turn within its own five seconds."""
    async with receiving(hang) as receiver, WebhookDelivery(allow_private=True, timeout_s=2.0) as delivery:
        started_s = time.monotonic()
        await asyncio.gather(*(delivery.post(receiver.url, {}, b"") for _ in range(20)))
        took_s = time.monotonic() - started_s

    assert len(receiver.requests) == 20
    assert took_s < 3.9  # One after the other they would take 4 s and more.
