"""The receiver's code in docs/webhooks.md does what the page says."""

from __future__ import annotations

import re
import runpy
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeAlias

import pytest

from handlers.webhooks.signing import SigningKey, generate_secret, standard_webhook_headers
from jobqueue.clock import now_ms

PAGE = Path(__file__).parents[2] / "docs" / "webhooks.md"
BODY = b'{"id":"1","payload":{"text":"\\u00fc"}}'

Verify: TypeAlias = Callable[..., bool]


@pytest.fixture
def example(tmp_path: Path) -> dict[str, Any]:
    """The names that the page's receiver defines."""
    (source,) = (
        block
        for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
        if "def is_signed_by" in block
    )
    file = tmp_path / "receiver.py"
    file.write_text(source, encoding="utf-8")
    return runpy.run_path(str(file))


def test_the_documented_receiver_knows_the_senders_signature_from_others(
    example: dict[str, Any], signing_key: SigningKey
) -> None:
    is_signed_by: Verify = example["is_signed_by"]
    public_key = signing_key.public_pem().encode()
    signature = signing_key.sign(BODY)

    assert is_signed_by(public_key, BODY, signature)
    assert not is_signed_by(public_key, BODY + b" ", signature)
    assert not is_signed_by(public_key, BODY, signature[:-8] + "AAAAAAA=")
    assert not is_signed_by(public_key, BODY, "not base64!")


def test_the_documented_receiver_knows_the_holder_of_the_secret_and_the_age_of_a_try(
    example: dict[str, Any],
) -> None:
    is_from_holder_of: Verify = example["is_from_holder_of"]
    secret, now_s = generate_secret(), now_ms() // 1000
    text = secret.get_secret_value()
    headers = standard_webhook_headers(secret, "1", now_s, BODY)

    assert is_from_holder_of(text, BODY, headers)
    assert is_from_holder_of(text, BODY, headers | {"webhook-signature": f"v1,x {headers['webhook-signature']}"})
    assert not is_from_holder_of(text, BODY + b" ", headers)
    assert not is_from_holder_of(generate_secret().get_secret_value(), BODY, headers)
    assert not is_from_holder_of(text, BODY, headers | {"webhook-id": "2"})
    assert not is_from_holder_of(text, BODY, standard_webhook_headers(secret, "1", now_s - 600, BODY))
    assert not is_from_holder_of(text, BODY, {})
