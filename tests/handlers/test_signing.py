"""The signatures of a webhook, and the keys that they are made with."""

from __future__ import annotations

import base64
import hashlib
import hmac

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from pydantic import SecretStr

from handlers.webhooks.errors import InvalidSubscription
from handlers.webhooks.signing import (
    SigningKey,
    generate_secret,
    generate_signing_key,
    load_signing_key,
    standard_webhook_headers,
)
from jobqueue.errors import SettingsError
from tests.handlers.support.receiver import Received
from tests.handlers.support.verifying import verify_rsa


def pem_of(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey, password: bytes | None = None) -> str:
    encryption = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption).decode()


def test_the_rsa_signature_verifies_over_the_exact_bytes_and_over_no_others(signing_key: SigningKey) -> None:
    body = b'{"id":"1"}'

    signature = signing_key.sign(body)

    verify_rsa(signing_key.public_pem(), Received("", {"x-webhook-signature": signature}, body))
    with pytest.raises(InvalidSignature):
        verify_rsa(signing_key.public_pem(), Received("", {"x-webhook-signature": signature}, body + b" "))


def test_a_key_on_one_line_with_escaped_line_ends_is_read(signing_key_pem: str, signing_key: SigningKey) -> None:
    on_one_line = signing_key_pem.replace("\n", "\\n")

    key = load_signing_key(SecretStr(on_one_line))

    assert key.public_pem() == signing_key.public_pem()


def test_a_generated_key_is_new_each_time_and_is_accepted() -> None:
    first, second = generate_signing_key(), generate_signing_key()

    assert first != second
    assert load_signing_key(SecretStr(first)).public_pem().startswith("-----BEGIN PUBLIC KEY-----")


def test_a_signing_key_is_not_shown_when_it_is_printed(signing_key: SigningKey, signing_key_pem: str) -> None:
    assert signing_key_pem.splitlines()[1] not in repr(signing_key)


@pytest.mark.parametrize(
    ("pem", "problem"),
    [
        pytest.param(None, "is not set", id="missing"),
        pytest.param(" \n", "is not set", id="blank"),
        pytest.param("s3cret words", "PEM", id="not a key"),
        pytest.param("/etc/keys/webhook.pem", "PEM", id="a path"),
        pytest.param(pem_of(ec.generate_private_key(ec.SECP256R1())), "RSA", id="another kind"),
        pytest.param(pem_of(rsa.generate_private_key(65537, 1024)), "1024 bits", id="too short"),
        pytest.param(pem_of(rsa.generate_private_key(65537, 2048), b"pw"), "unencrypted", id="encrypted"),
    ],
)
def test_a_key_that_cannot_sign_is_refused_by_the_name_of_its_setting(pem: str | None, problem: str) -> None:
    with pytest.raises(SettingsError, match=problem) as refusal:
        load_signing_key(SecretStr(pem) if pem is not None else None)

    assert refusal.value.setting == "WEBHOOK_SIGNING_PRIVATE_KEY"
    assert "s3cret" not in str(refusal.value)


def test_the_standard_webhooks_headers_are_those_of_its_published_example() -> None:
    # Source: the test vector of the Standard Webhooks reference libraries.
    secret = SecretStr("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")

    headers = standard_webhook_headers(secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')

    assert headers == {
        "webhook-id": "msg_p5jXN8AQM9LWM0D4loKWxJek",
        "webhook-timestamp": "1614265330",
        "webhook-signature": "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
    }


def test_a_generated_secret_signs() -> None:
    secret = generate_secret()

    headers = standard_webhook_headers(secret, "id", 1, b"body")

    key = base64.b64decode(secret.get_secret_value().removeprefix("whsec_"))
    expected = base64.b64encode(hmac.digest(key, b"id.1.body", hashlib.sha256)).decode()
    assert headers["webhook-signature"] == f"v1,{expected}"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_c2hvcnQ=", "c" * 32, "whsec_" + "A" * 96])
def test_a_secret_of_another_shape_is_refused_without_being_repeated(secret: str) -> None:
    with pytest.raises(InvalidSubscription) as refusal:
        standard_webhook_headers(SecretStr(secret), "id", 1, b"")

    assert refusal.value.field == "secret"
    assert len(secret) < 7 or secret not in str(refusal.value)
