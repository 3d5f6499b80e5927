"""The connection goes to the address that was checked, and TLS is held to the name."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from handlers.outside.connection import Resolver
from handlers.webhooks.delivery import Delivered, Refused, Unreachable, WebhookDelivery
from tests.handlers.support.certificates import new_authority
from tests.handlers.support.receiver import receiving


class NameService:
    """Gives the listed answers one after the other, and remembers what it was asked."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self._answers = list(answers)
        self.asked: list[str] = []

    async def resolve(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]


def fixed_names(*addresses: str) -> Resolver:
    return NameService(addresses).resolve


async def test_a_name_that_is_given_another_address_after_the_check_is_not_asked_again() -> None:
    """Rebinding: the first answer passes the check, the second leads elsewhere."""
    names = NameService(["127.0.0.1"], ["127.0.0.2"])
    async with (
        receiving() as receiver,
        WebhookDelivery(allow_private=True, resolve=names.resolve) as delivery,
    ):
        told = await delivery.post(f"http://receiver.test:{receiver.port}/x", {}, b"{}")

    assert told == Delivered(200)
    assert names.asked == ["receiver.test"]
    assert receiver.requests[0].headers["host"] == f"receiver.test:{receiver.port}"


async def test_every_delivery_checks_the_address_anew() -> None:
    names = NameService(["127.0.0.1"])
    async with (
        receiving() as receiver,
        WebhookDelivery(allow_private=True, resolve=names.resolve) as delivery,
    ):
        for _ in range(2):
            await delivery.post(f"http://receiver.test:{receiver.port}/x", {}, b"{}")

    assert names.asked == ["receiver.test", "receiver.test"]


@pytest.mark.parametrize(
    "addresses",
    [
        ["127.0.0.1"],
        ["169.254.169.254"],
        ["::1"],
        ["::ffff:127.0.0.1"],
        ["fd00:ec2::254"],
        ["1.1.1.1", "127.0.0.1"],
    ],
)
async def test_a_name_that_leads_to_a_private_address_is_refused_before_anything_connects(
    addresses: list[str], tmp_path: Path
) -> None:
    authority = new_authority(tmp_path)
    async with (
        receiving(tls=authority.server("receiver.example")) as receiver,
        WebhookDelivery(
            allow_private=False, resolve=fixed_names(*addresses), ssl_context=authority.client()
        ) as delivery,
    ):
        told = await delivery.post(f"https://receiver.example:{receiver.port}/", {}, b"{}")

    assert isinstance(told, Refused)
    assert addresses[-1] in told.error
    assert receiver.requests == []


async def test_a_url_that_was_stored_where_private_addresses_pass_is_refused_elsewhere() -> None:
    async with receiving() as receiver, WebhookDelivery(allow_private=False) as delivery:
        told = await delivery.post(receiver.url, {}, b"{}")

    assert isinstance(told, Refused)
    assert receiver.requests == []


async def test_the_next_address_is_tried_where_the_first_does_not_answer() -> None:
    async with (
        receiving() as receiver,
        WebhookDelivery(allow_private=True, resolve=fixed_names("::1", "127.0.0.1")) as delivery,
    ):
        told = await delivery.post(f"http://receiver.test:{receiver.port}/", {}, b"{}")

    assert told == Delivered(200)


async def test_tls_asks_for_and_verifies_the_name_while_connecting_to_the_address(tmp_path: Path) -> None:
    authority = new_authority(tmp_path)
    async with (
        receiving(tls=authority.server("receiver.test")) as receiver,
        WebhookDelivery(
            allow_private=True, resolve=fixed_names("127.0.0.1"), ssl_context=authority.client()
        ) as delivery,
    ):
        told = await delivery.post(f"https://Receiver.Test.:{receiver.port}/x", {}, b"{}")

    assert told == Delivered(200)
    assert receiver.asked_names == ["receiver.test"]
    assert receiver.requests[0].headers["host"] == f"receiver.test:{receiver.port}"


async def test_a_certificate_for_another_name_is_unreachable_and_gets_no_body(tmp_path: Path) -> None:
    authority = new_authority(tmp_path)
    async with (
        receiving(tls=authority.server("somebody.else")) as receiver,
        WebhookDelivery(
            allow_private=True, resolve=fixed_names("127.0.0.1"), ssl_context=authority.client()
        ) as delivery,
    ):
        told = await delivery.post(f"https://receiver.test:{receiver.port}/x", {}, b"{}")

    assert isinstance(told, Unreachable)
    assert "CERTIFICATE_VERIFY_FAILED" in told.error
    assert receiver.requests == []


async def test_a_certificate_that_nobody_vouches_for_is_unreachable(tmp_path: Path) -> None:
    authority = new_authority(tmp_path)
    async with (
        receiving(tls=authority.server("receiver.test")) as receiver,
        WebhookDelivery(allow_private=True, resolve=fixed_names("127.0.0.1")) as delivery,
    ):
        told = await delivery.post(f"https://receiver.test:{receiver.port}/x", {}, b"{}")

    assert isinstance(told, Unreachable)
    assert "CERTIFICATE_VERIFY_FAILED" in told.error
