"""Admin: the routes for programs. They take JSON and answer JSON."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, cast

from pydantic_core import from_json
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from board.access import ADMIN_PATH
from board.errors import Problem, Refused, invalid
from board.paths import segment
from board.serialize import Json, enqueued_json, handler_json, job_json
from jobqueue.app import App
from jobqueue.errors import InvalidOption, RedisError
from jobqueue.handler import Handler
from jobqueue.inspector import Inspector
from jobqueue.job import Enqueued, EnqueueOptions

ROOM_BESIDE_PAYLOAD_BYTES: Final = 16 * 1024
LAST_MOMENT_MS: Final = 253_402_300_799_999  # the end of the year 9999, where datetime ends

_FIELDS: Final = ("handler", "payload", "options")
_OPTIONS: Final = {
    "delayMs": "delay_ms",
    "runAt": "run_at",
    "priority": "priority",
    "attempts": "attempts",
    "backoffMs": "backoff",
    "timeoutMs": "timeout_ms",
    "jobId": "job_id",
    "queue": "queue",
}
_OPTION_OF: Final = {ours: theirs for theirs, ours in _OPTIONS.items()}


def admin_routes(app: App, inspector: Inspector) -> list[Route]:
    admin = _Admin(app, inspector)
    routes: tuple[tuple[str, str, Callable[[Request], Any]], ...] = (
        ("POST", "/job", admin.enqueue),
        ("GET", "/job/{job_id}", admin.show_job),
        ("POST", "/job/{job_id}/retry", admin.retry_job),
        ("GET", "/handler", admin.list_handlers),
    )
    return [Route(ADMIN_PATH + path, answer, methods=[method]) for method, path, answer in routes]


@dataclass(frozen=True, slots=True)
class _Admin:
    app: App
    inspector: Inspector

    async def enqueue(self, request: Request) -> Response:
        limit_bytes = self.app.settings.jobs_max_payload_bytes + ROOM_BESIDE_PAYLOAD_BYTES
        body = _object(await read_json(request, limit_bytes))
        handler, payload = self._handler(body), body.get("payload")
        options = read_options(body.get("options"))
        queue = options.get("queue") or handler.policy.queue or self.app.settings.jobs_queue
        try:
            await self.inspector.check_version(queue)
            enqueued = await self.app.enqueue_job(handler.name, payload, **options)
        except InvalidOption as error:
            name = f"options.{_OPTION_OF.get(error.field, error.field)}"
            raise invalid({name: error.problem}) from error
        shown = enqueued_json(enqueued, await self._enqueued_at_ms(enqueued))
        return Json({"data": shown}, 201 if enqueued.created else 200)

    async def show_job(self, request: Request) -> Response:
        view = await self.inspector.job(self._queue(request), segment(request, "job_id"))
        return Json({"data": job_json(view)})

    async def retry_job(self, request: Request) -> Response:
        if _has_body(request):
            check_content_type(request)
        queue, job_id = self._queue(request), segment(request, "job_id")
        await self.inspector.retry(queue, job_id)
        return Json({"data": job_json(await self.inspector.job(queue, job_id))})

    async def list_handlers(self, request: Request) -> Response:
        default_queue = self.app.settings.jobs_queue
        return Json({"data": [handler_json(handler, default_queue) for handler in self.app.registry]})

    def _queue(self, request: Request) -> str:
        return request.query_params.get("queue") or self.app.settings.jobs_queue

    def _handler(self, body: Mapping[str, Any]) -> Handler[Any]:
        name = body.get("handler")
        if not isinstance(name, str):
            raise invalid({"handler": "must be the name of a handler"})
        return self.app.registry.get(name)

    async def _enqueued_at_ms(self, enqueued: Enqueued) -> int | None:
        """The job is stored, so the answer is a success even where Redis has gone away since."""
        try:
            return await self.inspector.enqueued_at_ms(enqueued.queue, enqueued.job_id)
        except RedisError:
            return None


# The body


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


def _object(body: Any) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise Refused(Problem(400, "invalid", "the body must be an object with a handler"))
    fields = cast(dict[str, Any], body)
    unknown = {name: f"is not known; known are {', '.join(_FIELDS)}" for name in fields if name not in _FIELDS}
    if unknown:
        raise invalid(unknown)
    return fields


# The options


def read_options(given: Any) -> EnqueueOptions:
    """The options in our words; their ranges are checked when the job is enqueued.

    Raises: Refused with 400, naming each option that is not known: none is ever passed over.
    """
    if given is None:
        return EnqueueOptions()
    if not isinstance(given, dict):
        raise invalid({"options": "must be an object"})
    options = cast(dict[str, Any], given)
    unknown = {
        f"options.{name}": f"is not an option; known are {', '.join(_OPTIONS)}"
        for name in options
        if name not in _OPTIONS
    }
    if unknown:
        raise invalid(unknown)
    read = {_OPTIONS[name]: value for name, value in options.items() if value is not None}
    if "delay_ms" in read and "run_at" in read:
        raise invalid({"options.runAt": "give delayMs or runAt, not both"})
    if "run_at" in read:
        read["run_at"] = _moment(read["run_at"])
    if not isinstance(read.get("queue", ""), str):
        raise invalid({"options.queue": "must be the name of a queue"})
    return cast(EnqueueOptions, read)


def _moment(value: Any) -> datetime:
    fault = "must be ISO 8601 with a time zone, like 2030-01-31T12:00:00Z, or epoch milliseconds"
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= LAST_MOMENT_MS:
        return datetime.fromtimestamp(value / 1000, UTC)
    if not isinstance(value, str):
        raise invalid({"options.runAt": f"{fault}, not {value!r:.100}"})
    try:
        moment = datetime.fromisoformat(value)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise invalid({"options.runAt": f"{fault}, not {value!r:.100}"}) from error
    raise invalid({"options.runAt": f"{fault}; {value!r:.100} has no zone"})
