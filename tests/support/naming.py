"""How a value is called in the name of a test."""

from __future__ import annotations

import re

_ADDRESS = re.compile(" at 0x[0-9a-f]+")


def plainly(value: object) -> str:
    """Its `repr` without addresses: a test must have the same name in every process that collects it."""
    return _ADDRESS.sub("", repr(value))
