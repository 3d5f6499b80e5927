"""A secret that must not be seen anywhere, and where an error shows what it knows."""

from __future__ import annotations

import traceback
from typing import Final

CANARY: Final = "kanarienvogel-4711"


def everything_in(error: BaseException) -> str:
    """What a log, a tracker or a person may see of an error and of all that it came from."""
    parts = ["".join(traceback.format_exception(error)), repr(error), str(error), repr(vars(error))]
    return "\n".join(parts)
