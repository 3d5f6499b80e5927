"""Query: what a request's query says, clamped to what makes sense. What it says wrongly is passed over."""

from __future__ import annotations

from starlette.requests import Request


def clamped(request: Request, name: str, default: int, *, least: int, most: int) -> int:
    """A number out of the query, clamped; what is none is the default."""
    given = request.query_params.get(name, "")
    if not (given.isascii() and given.isdigit()):
        return default
    return min(max(int(given[:20]), least), most)
