"""Objects: what a job is about, as it is typed on a command line."""

from __future__ import annotations

from jobqueue.errors import InvalidOption


def read_object(text: str) -> tuple[str, str]:
    """Type and id of TYPE:ID; the first colon ends the type, and the id may hold others. Raises: InvalidOption."""
    kind, colon, identity = text.partition(":")
    if not (kind and colon and identity):
        raise InvalidOption("related", f"must be TYPE:ID, like order:7, not {text!r:.100}")
    return kind, identity
