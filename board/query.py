"""Query: what a request's query says, clamped to what makes sense. What it says wrongly is passed over."""

from __future__ import annotations

from starlette.requests import Request


def clamped(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    """A number out of the query, clamped; what is none is the default."""
    return clamp(request.query_params.get(name, ""), default, least=least, most=most)


def clamp(given: str, default: int, *, least: int, most: int) -> int:
    """A number as it was written, clamped; what is none is the default."""
    digits = given.removeprefix("-")
    if not (digits.isascii() and digits.isdigit()):
        return default
    number = int(digits[:20])
    return min(max(-number if given.startswith("-") else number, least), most)
