"""How a receiver verifies, written without the code under test."""

from __future__ import annotations

import base64

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.serialization import load_pem_public_key

from tests.handlers.support.receiver import Received


def verify_rsa(public_pem: str, received: Received) -> None:
    """Raises: InvalidSignature."""
    key = load_pem_public_key(public_pem.encode())
    assert isinstance(key, rsa.RSAPublicKey)
    signature = base64.b64decode(received.headers["x-webhook-signature"], validate=True)
    key.verify(signature, received.body, padding.PKCS1v15(), hashes.SHA256())
