"""Body: what a program sends, read as JSON and no further than its limit."""

from __future__ import annotations

from typing import Any, Final, TypeVar

from pydantic import ValidationError
from pydantic_core import from_json
from starlette.requests import Request

from board.api.bodies import Body
from board.api.faults import field_errors_of
from board.errors import Refused, invalid
from jobqueue.problems import Problem

SMALL_BYTES: Final = 16 * 1024
_IDENTITY: Final = ("", "identity")

_B = TypeVar("_B", bound=Body)


async def read_body(request: Request, model: type[_B], limit_bytes: int = SMALL_BYTES) -> _B:
    """The body as the model has it. Raises: Refused as `read_json`, and with 400 where the model refuses it."""
    body = await read_json(request, limit_bytes)
    if not isinstance(body, dict):
        names = ", ".join(field.alias or name for name, field in model.model_fields.items())
        raise Refused(Problem(400, "invalid", f"the body must be an object with {names}"))
    try:
        return model.model_validate(body)
    except ValidationError as error:
        raise invalid(field_errors_of(error)) from error


async def read_body_if_any(request: Request, model: type[_B]) -> _B:
    """As `read_body`; without a body what the model has where nothing is said."""
    return await read_body(request, model) if _has_body(request) else model()


async def read_json(request: Request, limit_bytes: int) -> Any:
    """The body's JSON; of names that occur twice the last counts.

    Raises: Refused with 400 where it is no JSON, with 413 where it is too large: then the rest is not read.
    """
    _check_headers(request)
    body = await _read_body(request, limit_bytes)
    try:
        return from_json(body, allow_inf_nan=False)
    except ValueError as error:
        raise Refused(Problem(400, "invalid", f"the body is not JSON: {error}")) from error


def check_no_form(request: Request) -> None:
    """Of a change that takes no body: what is sent all the same is passed over, but for what any page could send."""
    if _has_body(request):
        _check_headers(request)


def _check_headers(request: Request) -> None:
    """A form or a text can be sent by any page of the web; JSON cannot."""
    given = request.headers.get("content-type", "")
    media_type, _, parameters = given.partition(";")
    if media_type.strip().lower() != "application/json":
        raise Refused(Problem(400, "invalid", f"content-type must be application/json, not {given!r:.100}"))
    charset = _charset(parameters)
    if charset not in ("", "utf-8", "utf8"):
        raise Refused(Problem(400, "invalid", f"JSON must be in UTF-8, not {charset!r:.100}"))
    encoding = request.headers.get("content-encoding", "")
    if encoding.strip().lower() not in _IDENTITY:
        raise Refused(Problem(400, "invalid", f"the body must not be encoded, as by {encoding!r:.100}"))


def _charset(parameters: str) -> str:
    pairs = (parameter.partition("=") for parameter in parameters.lower().split(";"))
    return next((value.strip().strip('"') for name, _, value in pairs if name.strip() == "charset"), "")


def _has_body(request: Request) -> bool:
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
