"""Proof: the file by which a place says whose profile it is, and what reading it may come to.

Shape: JSON `{"userId": …, "hostname": …}`; other fields are passed over. It proves that whoever may write at the
profile's URL has named this user of this service. It says nothing of who that is, and nothing of tomorrow.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, ValidationError
from pydantic.alias_generators import to_camel

MAX_BYTES: Final = 16 * 1024


@dataclass(frozen=True, slots=True)
class Found:
    """The place has a file there."""

    body: bytes


@dataclass(frozen=True, slots=True)
class Missing:
    """There is no proof, or none that may be read: another try would find the same."""

    reason: str


@dataclass(frozen=True, slots=True)
class OutOfReach:
    """The place gave no answer, or none for now."""

    error: str


Reading: TypeAlias = Found | Missing | OutOfReach

TOO_LARGE: Final = Missing(f"the proof is larger than {MAX_BYTES} bytes")


class _Proof(BaseModel):
    model_config = ConfigDict(strict=True, alias_generator=to_camel)

    user_id: str
    hostname: str


def why_not(body: bytes, user_id: str, hostname: str) -> str | None:
    """What is wrong with a proof; None where it is right. What it says is not repeated: anybody may have written it."""
    try:
        proof = _Proof.model_validate_json(body)
    except ValidationError:
        return 'the proof is not JSON like {"userId": "…", "hostname": "…"}'
    if proof.hostname != hostname:
        return f"the proof is for another service than {hostname}"
    if proof.user_id != user_id:
        return "the proof names another user"
    return None


def unfit_because(url: str) -> str | None:
    """Why nothing can be put behind a URL; None where a proof's path can.

    What comes behind `?` or `#` would be no path, and `..` would lead to another profile than the one that is named.
    """
    if "?" in url or "#" in url:
        return "url: must have no ? and no #"
    if {".", ".."}.intersection(unquote(url).replace("\\", "/").split("/")):
        return "url: must have neither . nor .. in its path"
    return None


def path_of_proof(path: str, hostname: str) -> str:
    """Where the proof is, given the path of the profile."""
    return f"{path.rstrip('/')}/proofs/{hostname}"
