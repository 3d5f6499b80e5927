"""Forms: what a person sends from a page, and the question before it is done."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final
from urllib.parse import parse_qsl

from starlette.datastructures import FormData, UploadFile
from starlette.requests import Request
from starlette.responses import HTMLResponse

from board.errors import Refused
from board.site import Site
from jobqueue.problems import Problem

FORM: Final = "application/x-www-form-urlencoded"
CONFIRMED: Final = "confirmed"
MAX_FIELDS: Final = 1_000
MAX_FORM_BYTES: Final = 1024 * 1024


def check_form(request: Request) -> None:
    given = request.headers.get("content-type", FORM)
    if given.partition(";")[0].strip().lower() != FORM:
        raise Refused(Problem(400, "invalid", f"content-type must be {FORM}, not {given!r:.100}"))


async def read_form(request: Request, limit_bytes: int = MAX_FORM_BYTES) -> FormData:
    """The fields that were sent.

    Raises: Refused for what is no form or no UTF-8, is larger than `limit_bytes` or has more than MAX_FIELDS fields.
    """
    check_form(request)
    body = bytearray()
    async for part in request.stream():
        body += part
        if len(body) > limit_bytes:
            # Without the header the server would go on to read, and throw away, whatever still comes.
            message = f"the form is larger than {limit_bytes} bytes"
            raise Refused(Problem(413, "too_large", message, headers={"connection": "close"}))
    try:
        sent = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=MAX_FIELDS, errors="strict")
        return FormData(list[tuple[str, str | UploadFile]](sent))
    except UnicodeDecodeError as error:
        raise Refused(Problem(400, "invalid", "a form must be URL-encoded UTF-8")) from error
    except ValueError as error:
        raise Refused(Problem(400, "invalid", f"a form has at most {MAX_FIELDS} fields")) from error


def text_of(form: FormData, name: str) -> str:
    """A field's text without the spaces around it; empty where it was not sent."""
    value = form.get(name)
    return value.strip() if isinstance(value, str) else ""


def texts_of(form: FormData, name: str) -> list[str]:
    """Every value of a field that may be sent many times."""
    return [value for value in form.getlist(name) if isinstance(value, str)]


def is_confirmed(form: FormData) -> bool:
    return text_of(form, CONFIRMED) == "yes"


def fields_of(form: FormData) -> tuple[tuple[str, str], ...]:
    """All fields as they came, to be sent once more by a page in between."""
    return tuple((name, value) for name, value in form.multi_items() if isinstance(value, str) and name != CONFIRMED)


def confirmation(
    site: Site,
    request: Request,
    *,
    question: str,
    button: str,
    action: str,
    back: str,
    details: Sequence[str] = (),
    fields: Iterable[tuple[str, str]] = (),
) -> HTMLResponse:
    """The page that asks before something is destroyed. Its button sends `fields` and `confirmed=yes` to `action`.

    Shape: `question` says what and how many ("Remove 3 jobs?"), `details` what follows from it, line by line; `button`
    is the act's word; `back` is where "Keep everything as it is" leads.
    """
    context = {
        "question": question,
        "button": button,
        "back": back,
        "details": details,
        "fields": tuple(fields),
        "action": action,
    }
    return site.page(request, "confirm.html", context)
