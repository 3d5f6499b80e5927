"""Signing key: a new one for a dev server's webhooks. Apart, since other commands have no need of cryptography."""

from __future__ import annotations

from typing import Final

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

KEY_BITS: Final = 2048


def new_signing_key() -> str:
    """A private RSA key as PEM."""
    # handlers.webhooks has the same, but a service's own package `handlers` would be hidden by importing it here.
    key = rsa.generate_private_key(public_exponent=65537, key_size=KEY_BITS)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return pem.decode("ascii")
