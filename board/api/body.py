"""Body: what a program sends, read as JSON and no further than its limit."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from pydantic_core import from_json
from starlette.requests import Request

from board.errors import Problem, Refused, invalid


async def read_object(request: Request, limit_bytes: int, fields: Collection[str]) -> Mapping[str, Any]:
    """The body's object, which has no other fields than these.

    Raises: Refused as `read_json`, and with 400 where it is no object or has a field that is not known.
    """
    body = await read_json(request, limit_bytes)
    if not isinstance(body, dict):
        raise Refused(Problem(400, "invalid", f"the body must be an object with {', '.join(fields)}"))
    given = cast(dict[str, Any], body)
    unknown = {name: f"is not known; known are {', '.join(fields)}" for name in given if name not in fields}
    if unknown:
        raise invalid(unknown)
    return given


async def read_json(request: Request, limit_bytes: int) -> Any:
    """The body's JSON; of names that occur twice the last counts.

    Raises: Refused with 400 where it is no JSON, with 413 where it is too large: then the rest is not read.
    """
    check_content_type(request)
    body = await _read_body(request, limit_bytes)
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refused(Problem(400, "invalid", f"the body is not JSON: {error}")) from error


def check_content_type(request: Request) -> None:
    """A form or a text can be sent by any page of the web; JSON cannot."""
    given = request.headers.get("content-type", "")
    if given.partition(";")[0].strip().lower() != "application/json":
        raise Refused(Problem(400, "invalid", f"content-type must be application/json, not {given!r:.100}"))


def has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


async def _read_body(request: Request, limit_bytes: int) -> bytes:
    # Without the header the server would go on to read, and throw away, whatever still comes.
    hang_up = {"connection": "close"}
    too_large = Refused(Problem(413, "too_large", f"the body is larger than {limit_bytes} bytes", headers=hang_up))
    announced = request.headers.get("content-length", "")
    if announced.isascii() and announced.isdigit() and (len(announced) > 18 or int(announced) > limit_bytes):
        raise too_large
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit_bytes:
            raise too_large
    return bytes(body)
