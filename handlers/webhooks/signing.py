"""Signing: RSA over the exact bytes of a body, and Standard Webhooks where a subscription has a secret."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import secrets
from dataclasses import dataclass

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from pydantic import SecretStr

from handlers.webhooks.errors import InvalidSubscription
from jobqueue import SettingsError

KEY_SETTING = "WEBHOOK_SIGNING_PRIVATE_KEY"
MIN_KEY_BITS = 2048
WHSEC = "whsec_"
SECRET_BYTES = range(24, 65)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private key that signs every webhook."""

    _key: rsa.RSAPrivateKey

    def sign(self, body: bytes) -> str:
        """The value of `X-Webhook-Signature`: base64 of RSA PKCS #1 v1.5 over SHA-256 of the body."""
        return base64.b64encode(self._key.sign(body, padding.PKCS1v15(), hashes.SHA256())).decode("ascii")

    def public_pem(self) -> str:
        """What receivers verify with, as PEM text."""
        return (
            self._key.public_key()
            .public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
            .decode("ascii")
        )


def generate_signing_key() -> str:
    """A new private key as PEM text, fit for WEBHOOK_SIGNING_PRIVATE_KEY. It takes a tenth of a second."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=MIN_KEY_BITS)
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode("ascii")


def load_signing_key(pem: SecretStr | None) -> SigningKey:
    r"""The key out of its setting: PEM text, its line ends real or written as `\n`.

    Raises: SettingsError where it is missing or cannot sign; the message never repeats the key.
    """
    if pem is None or not pem.get_secret_value().strip():
        raise SettingsError(KEY_SETTING, "is not set, but webhooks are signed with it; give it an RSA key in PEM")
    text = pem.get_secret_value().replace("\\n", "\n").strip().encode()
    try:
        key = serialization.load_pem_private_key(text, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm) as error:
        problem = "is not an unencrypted RSA private key in PEM (-----BEGIN PRIVATE KEY-----)"
        raise SettingsError(KEY_SETTING, problem) from error
    if not isinstance(key, rsa.RSAPrivateKey):
        raise SettingsError(KEY_SETTING, "is a key of another kind; it must be an RSA key")
    if key.key_size < MIN_KEY_BITS:
        raise SettingsError(KEY_SETTING, f"is an RSA key of {key.key_size} bits; it must have {MIN_KEY_BITS} or more")
    return SigningKey(key)


def generate_secret() -> SecretStr:
    """A new secret for one subscription, in the form of Standard Webhooks."""
    return SecretStr(WHSEC + base64.b64encode(secrets.token_bytes(32)).decode("ascii"))


def secret_bytes(secret: SecretStr) -> bytes:
    """The bytes of a `whsec_…` secret. Raises: InvalidSubscription, naming `secret` without repeating it."""
    text = secret.get_secret_value()
    try:
        key = base64.b64decode(text.removeprefix(WHSEC), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not text.startswith(WHSEC) or len(key) not in SECRET_BYTES:
        limits = f"{SECRET_BYTES.start} to {SECRET_BYTES.stop - 1}"
        raise InvalidSubscription("secret", f"must be {WHSEC} and the base64 of {limits} bytes")
    return key


def standard_webhook_headers(secret: SecretStr, message_id: str, now_s: int, body: bytes) -> dict[str, str]:
    """The three headers of Standard Webhooks 1.0, for one try.

    Units: `now_s` is the time of the try in epoch seconds, so that a receiver may refuse old ones.
    Source: https://www.standardwebhooks.com
    """
    signed = f"{message_id}.{now_s}.".encode() + body
    signature = base64.b64encode(hmac.digest(secret_bytes(secret), signed, hashlib.sha256)).decode("ascii")
    return {"webhook-id": message_id, "webhook-timestamp": str(now_s), "webhook-signature": f"v1,{signature}"}
