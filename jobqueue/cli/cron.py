"""`jobqueue cron`: what runs at which times."""

from __future__ import annotations

from typing import Annotated, Final, cast

import typer

from jobqueue.cli import cron_acts
from jobqueue.cli.completing import handler_names
from jobqueue.cli.console import FAILED, run, say, say_json
from jobqueue.cli.cron_shown import print_report, report_json, wall_clock
from jobqueue.cli.options import AsJson, HandlerName, RegistryName
from jobqueue.cli.payload import read_payload
from jobqueue.clock import now_ms
from jobqueue.cron import CronFields, next_runs
from jobqueue.cron.checking import FIELDS

ADD_EXAMPLES = """Examples:

jobqueue cron add nightly --pattern '0 1 * * *' --handler syncData --payload '{"resource_id": "r1"}'

id=$(jobqueue cron add report --pattern '0 9 * * 1-5' --timezone Europe/Vienna --handler sendReport)

jobqueue cron add poll --pattern '*/10 * * * * *' --handler poll --overlap allow --misfire skip --disabled
"""
LIST_EXAMPLES = """Examples:

jobqueue cron list

jobqueue cron list --json | jq '.[] | select(.lastStatus == "failed") | .name'
"""
SET_EXAMPLES = """Examples:

jobqueue cron set nightly --pattern '30 1 * * *' --timezone Europe/Vienna

jobqueue cron set nightly --disable
"""
REMOVE_EXAMPLES = """Example:

jobqueue cron remove nightly
"""
TRIGGER_EXAMPLES = """Examples:

jobqueue cron trigger nightly

jobqueue cron trigger nightly --wait 60 | jq .
"""
SYNC_EXAMPLES = """Examples:

jobqueue cron sync

jobqueue cron sync --json | jq .refused
"""
NEXT_EXAMPLES = """Examples:

jobqueue cron next '30 1 * * *' --timezone America/New_York

jobqueue cron next '*/10 * * * * *' --count 3 --json
"""

Which = Annotated[str, typer.Argument(metavar="WHICH", help="The cron job's id, job id or name.")]
PATTERN_HELP: Final = "Five fields, or six with the seconds first; @daily and the like."
PAYLOAD_HELP: Final = "JSON, or - to read it from standard input."
Timezone = Annotated[str | None, typer.Option(help="The zone whose clocks count; UTC by default.")]
Payload = Annotated[str | None, typer.Option(metavar="JSON", help=PAYLOAD_HELP)]
JobId = Annotated[str | None, typer.Option(help="Its scheduler's id in Redis; the name by default.")]
Description = Annotated[str | None, typer.Option(help="What it is for.")]
Priority = Annotated[int | None, typer.Option(help="0 to 2097151; 0 goes first, then 1, …")]
MaxAttempts = Annotated[int | None, typer.Option(help="Tries in all; 3 by default.")]
BackoffMs = Annotated[int | None, typer.Option(help="Milliseconds before the second try; they double with each one.")]
OverlapWord = Annotated[
    str | None, typer.Option(metavar="skip|queue|allow", help="While an earlier run is not finished: skip by default.")
]
MisfireWord = Annotated[
    str | None, typer.Option(metavar="run_once|skip", help="What was missed: run_once by default, or nothing.")
]


def add_to(app: typer.Typer) -> None:
    cron = typer.Typer(help="Say what runs at which times.", no_args_is_help=True)
    cron.callback()(_group)
    cron.command("list", epilog=LIST_EXAMPLES)(list_all)
    cron.command("add", epilog=ADD_EXAMPLES)(add)
    cron.command("set", epilog=SET_EXAMPLES)(change)
    cron.command("remove", epilog=REMOVE_EXAMPLES)(remove)
    cron.command("trigger", epilog=TRIGGER_EXAMPLES)(trigger)
    cron.command("sync", epilog=SYNC_EXAMPLES)(sync)
    cron.command("next", epilog=NEXT_EXAMPLES)(preview)
    app.add_typer(cron, name="cron")


def _group() -> None:
    """Say what runs at which times (the table cron_job)."""


def list_all(registry: RegistryName = None, as_json: AsJson = False) -> None:
    """Print all cron jobs, by name, with their next and last run as the clocks of their zones show them."""
    run(cron_acts.list_all(registry, as_json))


def add(
    context: typer.Context,
    name: Annotated[str, typer.Argument(help="What people call it.")],
    pattern: Annotated[str, typer.Option(help=PATTERN_HELP)],
    handler: HandlerName,
    timezone: Timezone = None,
    payload: Payload = None,
    job_id: JobId = None,
    description: Description = None,
    priority: Priority = None,
    max_attempts: MaxAttempts = None,
    backoff_ms: BackoffMs = None,
    overlap: OverlapWord = None,
    misfire: MisfireWord = None,
    enabled: Annotated[bool | None, typer.Option(" /--disabled", help="Save it, but do not let it run.")] = None,
    registry: RegistryName = None,
    as_json: AsJson = False,
) -> None:
    """Add a cron job and print its id; when it runs is said on standard error."""
    run(cron_acts.add(registry, _given(context), as_json))


def change(
    context: typer.Context,
    which: Which,
    name: Annotated[str | None, typer.Option(help="What people call it.")] = None,
    pattern: Annotated[str | None, typer.Option(help=PATTERN_HELP)] = None,
    handler: Annotated[str | None, typer.Option(help="The handler's name.", autocompletion=handler_names)] = None,
    timezone: Timezone = None,
    payload: Payload = None,
    job_id: JobId = None,
    description: Description = None,
    priority: Priority = None,
    max_attempts: MaxAttempts = None,
    backoff_ms: BackoffMs = None,
    overlap: OverlapWord = None,
    misfire: MisfireWord = None,
    enable: Annotated[bool, typer.Option("--enable", help="Let it run.")] = False,
    disable: Annotated[bool, typer.Option("--disable", help="Do not let it run.")] = False,
    registry: RegistryName = None,
    as_json: AsJson = False,
) -> None:
    """Change a cron job; what is not given stays. Its scheduler follows at once.

    A payload that was shown with masked secrets keeps those that are still masked.
    """
    fields = _given(context)
    if enable and disable:
        raise typer.BadParameter("cannot both be meant", param_hint="--enable, --disable")
    if enable or disable:
        fields["enabled"] = enable
    if not fields:
        raise typer.BadParameter("say what to change, as in --pattern '0 1 * * *' or --disable")
    run(cron_acts.change(registry, which, fields, as_json))


def remove(which: Which, registry: RegistryName = None, as_json: AsJson = False) -> None:
    """Remove a cron job with the job of its next run. A job that runs goes on."""
    run(cron_acts.remove(registry, which, as_json))


def trigger(
    which: Which,
    wait: Annotated[
        float | None, typer.Option(min=0, metavar="SECONDS", help="Wait for the job and print its result.")
    ] = None,
    registry: RegistryName = None,
    as_json: AsJson = False,
) -> None:
    """Run a cron job now, whether it is enabled or not. Prints the job's id, or with --wait its result."""
    run(cron_acts.trigger(registry, which, wait, as_json))


def sync(registry: RegistryName = None, as_json: AsJson = False) -> None:
    """Make the schedulers in Redis equal to the table, as each worker does every 30 s.

    Prints what was changed. Ends with 1 where the scheduler of a cron job could not be made.
    """
    report = run(cron_acts.sync(registry))
    if as_json:
        say_json(report_json(report))
    else:
        print_report(report)
    if report.refused:
        raise typer.Exit(FAILED)


def preview(
    pattern: Annotated[str, typer.Argument(help=PATTERN_HELP)],
    timezone: Annotated[str, typer.Option(help="The zone whose clocks count.")] = "UTC",
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many.")] = 5,
    as_json: AsJson = False,
) -> None:
    """Print when a pattern fires next."""
    times = next_runs(pattern, timezone, now_ms(), count)
    if as_json:
        say_json(list(times))
    else:
        for at_ms in times:
            say(wall_clock(timezone, at_ms))


def _given(context: typer.Context) -> CronFields:
    """The fields that were given: the parameters of `add` and `set` have their names. Raises: BadParameter."""
    given = {name: value for name, value in context.params.items() if name in FIELDS and value is not None}
    if "payload" in given:
        try:
            given["payload"] = read_payload(given["payload"])
        except ValueError as error:
            raise typer.BadParameter(str(error), param_hint="--payload") from error
    return cast(CronFields, given)
