"""`jobqueue doctor`: check Redis, the database and this installation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Annotated

import typer

from jobqueue.app import App
from jobqueue.cli import leaks
from jobqueue.cli.completing import queue_names
from jobqueue.cli.console import FAILED, one_line, run, say_json
from jobqueue.cli.environment import MIGRATIONS, load_settings, registry_of
from jobqueue.cli.options import RegistryName
from jobqueue.doctor import Check, Status, examine, queues_of
from jobqueue.errors import SettingsError
from jobqueue.registry import Registry
from jobqueue.settings import Settings

EXAMPLES = """Examples:

jobqueue doctor

jobqueue doctor --json | jq '.checks[] | select(.status != "ok")'

jobqueue doctor --fix

jobqueue doctor --fix --all-queues --yes --json
"""
COLOURS: dict[Status, str] = {"ok": "green", "warning": "yellow", "error": "red"}


def add_to(app: typer.Typer) -> None:
    app.command("doctor", epilog=EXAMPLES)(doctor)


def doctor(
    registry: RegistryName = None,
    queue: Annotated[
        list[str] | None,
        typer.Option(
            help="Look at this queue; several may be named. Those of the registry by default.",
            autocompletion=queue_names,
        ),
    ] = None,
    all_queues: Annotated[bool, typer.Option("--all-queues", help="Look at every queue of the prefix.")] = False,
    fix: Annotated[bool, typer.Option("--fix", help="Remove what has lost its owner; asks first.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="With --fix: do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Check versions, Redis's settings, clocks, the queues and the database, and say what to do.

    Changes nothing, but with --fix. Exit status 1 where something is wrong; warnings leave it at 0. With --fix only
    keys are looked at: those that have lost their owner are removed, beside workers or without, and it is 1 where you
    say no.
    """
    if yes and not fix:
        raise typer.BadParameter("goes with --fix alone", param_hint="--yes")
    if fix and as_json and not yes:
        raise typer.BadParameter("cannot ask; add --yes", param_hint="--json")
    if queue and all_queues:
        raise typer.BadParameter("are all queues already; leave it out", param_hint="--queue")
    settings = load_settings(jobs_registry=registry)
    found, check = _check_registry(settings)
    app = App(found, settings)
    if fix:
        run(leaks.fix(app, queue or (), all_queues=all_queues, is_sure=yes, as_json=as_json))
        return
    checks = [check, *run(_examine(app, queue or (), all_queues=all_queues))]
    if as_json:
        say_json({"ok": _is_well(checks), "checks": [asdict(check) for check in checks]})
    else:
        _print(checks)
    if not _is_well(checks):
        raise typer.Exit(FAILED)


def _check_registry(settings: Settings) -> tuple[Registry, Check]:
    try:
        found = registry_of(settings)
    except SettingsError as error:
        advice = "Set JOBS_REGISTRY to module:attribute, and run this where that module can be imported."
        return Registry(), Check("registry", "error", str(error), advice)
    return found, Check("registry", "ok", f"{settings.jobs_registry} has {', '.join(found.names) or 'no handlers'}")


async def _examine(app: App, queues: Sequence[str], *, all_queues: bool) -> list[Check]:
    async with app:
        return await examine(app, MIGRATIONS, queues=await queues_of(app) if all_queues else queues)


def _is_well(checks: list[Check]) -> bool:
    return all(check.status != "error" for check in checks)


def _print(checks: list[Check]) -> None:
    width = max(len(check.name) for check in checks)
    for check in checks:
        typer.secho(f"{check.status:<8}", fg=COLOURS[check.status], nl=False)
        typer.echo(f"{one_line(check.name):<{width}}  {one_line(check.detail)}")
        if check.advice is not None:
            typer.echo(f"{'':<8}{'':<{width}}  → {one_line(check.advice)}")
