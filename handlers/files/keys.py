"""Keys: by which names objects lie in the store."""

from __future__ import annotations

import re
from typing import Final

from handlers.files.errors import InvalidKey
from handlers.models import MAX_KEY
from jobqueue.database import new_id

MAX_PART_BYTES: Final = 255
"""What a folder takes as the name of one file."""

_UNFIT = re.compile(r"[\x00-\x1f\x7f\\\ud800-\udfff]")


def new_key(folder: str, suffix: str) -> str:
    """A key that no object had before and none will have again, so that nobody means an older object by it."""
    return f"{folder}/{new_id()}{suffix}"


def checked_key(key: str) -> str:
    """The key, fit for a folder and for a bucket: parts with `/` between them, of which none leads elsewhere.

    Raises: InvalidKey.
    """
    if not 1 <= len(key) <= MAX_KEY:
        raise InvalidKey(key, f"must have 1 to {MAX_KEY} characters, not {len(key)}")
    unfit = _UNFIT.search(key)
    if unfit is not None:
        raise InvalidKey(key, f"must have no control character, backslash or half a character, not {unfit[0]!r}")
    for part in key.split("/"):
        if part in ("", ".", ".."):
            raise InvalidKey(key, f"must be parts with '/' between them, and none of them may be {part!r}")
        if len(part.encode()) > MAX_PART_BYTES:
            raise InvalidKey(key, f"must have no part of more than {MAX_PART_BYTES} bytes")
    return key


def is_key(key: str) -> bool:
    """Whether an object can have this key."""
    try:
        checked_key(key)
    except InvalidKey:
        return False
    return True
