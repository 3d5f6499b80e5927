"""`jobqueue enqueue`: store a job for a handler, and wait for it where that is asked."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, cast

import typer

from jobqueue.app import App
from jobqueue.cli.completing import handler_names, queue_names
from jobqueue.cli.console import note, one_line, run, say, say_json
from jobqueue.cli.environment import load_settings, open_app
from jobqueue.cli.objects import read_object
from jobqueue.cli.options import AsJson, RegistryName
from jobqueue.cli.payload import read_payload
from jobqueue.cli.results import result_of
from jobqueue.errors import InvalidOption, InvalidPayload
from jobqueue.job import Backoff, Enqueued, EnqueueOptions, exponential

HELP = """Store a job for the handler NAME, with PAYLOAD as its JSON input.

Handler, payload and options are checked before anything is written. Prints the job's id, or with --wait its result;
what was stored is said on standard error.
"""
EXAMPLES = """Examples:

jobqueue enqueue heartbeat --wait 5

id=$(jobqueue enqueue heartbeat --delay-ms 60000)

jobqueue enqueue syncData '{"resource_id": "r1"}' --delay-ms 5000 --attempts 5

jobqueue enqueue syncData - --job-id r1-nightly --json < payload.json

jobqueue enqueue sendInvoice '{"order": 7}' --related order:7 --order-key customer:42 --expires-in-ms 600000
"""


def add_to(app: typer.Typer) -> None:
    app.command("enqueue", help=HELP, epilog=EXAMPLES)(enqueue)


def enqueue(
    name: Annotated[str, typer.Argument(help="The handler's name.", autocompletion=handler_names)],
    payload: Annotated[str, typer.Argument(help="JSON, or - to read it from standard input.")] = "null",
    delay_ms: Annotated[int | None, typer.Option(help="Run it that many milliseconds from now.")] = None,
    run_at: Annotated[str | None, typer.Option(help="Run it then: 2030-01-31T09:00:00+01:00.")] = None,
    priority: Annotated[int | None, typer.Option(help="0 to 2097151; 0 goes first, then 1, …")] = None,
    attempts: Annotated[int | None, typer.Option(help="Tries in all.")] = None,
    backoff_ms: Annotated[
        int | None, typer.Option(help="Milliseconds before the second try; they double with each one.")
    ] = None,
    timeout_ms: Annotated[int | None, typer.Option(help="Milliseconds that each try may take.")] = None,
    job_id: Annotated[str | None, typer.Option(help="Your own id: a second job with it is not stored.")] = None,
    order_key: Annotated[str | None, typer.Option(help="Jobs of one key run one after another.")] = None,
    related: Annotated[
        str | None, typer.Option(metavar="TYPE:ID", help="The object that it is about, like order:7.")
    ] = None,
    created_by: Annotated[str | None, typer.Option(help="Who asks for it.")] = None,
    expires_in_ms: Annotated[int | None, typer.Option(help="After that many milliseconds it no longer starts.")] = None,
    queue: Annotated[
        str | None, typer.Option(help="Queue; else the handler's, else JOBS_QUEUE.", autocompletion=queue_names)
    ] = None,
    registry: RegistryName = None,
    wait: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Wait for the job and print its result.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    asked: dict[str, Any] = {
        "delay_ms": delay_ms,
        "run_at": None if run_at is None else _moment(run_at),
        "priority": priority,
        "attempts": attempts,
        "backoff": None if backoff_ms is None else _backoff(backoff_ms),
        "timeout_ms": timeout_ms,
        "job_id": job_id,
        "order_key": order_key,
        "related": None if related is None else read_object(related),
        "created_by": created_by,
        "expires_in_ms": expires_in_ms,
        "queue": queue,
    }
    options = cast(EnqueueOptions, {option: value for option, value in asked.items() if value is not None})
    value = _payload(name, payload)
    app = open_app(load_settings(jobs_registry=registry))
    run(_enqueue(app, name, value, options, wait, as_json))


async def _enqueue(
    app: App, name: str, payload: Any, options: EnqueueOptions, wait_s: float | None, as_json: bool
) -> None:
    async with app:
        stored = await app.enqueue_job(name, payload, **options)
        answer = {
            "jobId": stored.job_id,
            "name": stored.name,
            "queue": stored.queue,
            "created": stored.created,
            "outboxed": stored.outboxed,
        }
        if not as_json:
            note(one_line(_sentence(stored)))
        if wait_s is not None:
            answer["result"] = await result_of(stored, wait_s)
        if as_json:
            say_json(answer)
        elif wait_s is not None:
            say_json(answer["result"])
        else:
            say(stored.job_id)


def _sentence(stored: Enqueued) -> str:
    if not stored.created:
        return f"job {stored.job_id} is in queue {stored.queue} already; nothing was stored"
    if stored.outboxed:
        return f"queue {stored.queue} is full: {stored.name} waits in the database as job {stored.job_id}"
    replaced = f", in place of job {stored.superseded}" if stored.superseded else ""
    return f"enqueued {stored.name} as job {stored.job_id} in queue {stored.queue}{replaced}"


def _payload(handler: str, text: str) -> Any:
    try:
        return read_payload(text)
    except ValueError as error:
        raise InvalidPayload(handler, {"payload": str(error)}) from None


def _moment(text: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:
        raise InvalidOption("run_at", f"must be like 2030-01-31T09:00:00+01:00, not {text!r}") from None


def _backoff(delay_ms: int) -> Backoff:
    if delay_ms < 0:
        raise InvalidOption("backoff_ms", f"must be 0 or more, not {delay_ms}")
    return exponential(delay_ms)
