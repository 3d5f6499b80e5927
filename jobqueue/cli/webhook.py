"""`jobqueue webhook`: who is told of changes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

import typer
from pydantic import SecretStr

from handlers.webhooks import subscriptions
from handlers.webhooks.errors import InvalidSubscription
from handlers.webhooks.signing import generate_secret
from handlers.webhooks.subscriptions import Subscription
from jobqueue.cli.console import note, one_line, run, say, say_json
from jobqueue.cli.environment import load_settings
from jobqueue.cli.options import AsJson
from jobqueue.cli.payload import read_stdin
from jobqueue.cli.tables import print_table
from jobqueue.database import open_database
from jobqueue.settings import Settings

ADD_EXAMPLES = """Examples:

id=$(jobqueue webhook add --model order --url https://example.com/hook)

jobqueue webhook add --model order --url http://localhost:9000/ --new-secret --json

jobqueue webhook add --model order --url https://example.com/hook --secret - < secret.txt
"""
LIST_EXAMPLES = """Example:

jobqueue webhook list --json | jq '.[] | select(.isActive | not)'
"""
ENABLE_EXAMPLES = """Example:

jobqueue webhook enable 019a8b5e-…
"""


def add_to(app: typer.Typer) -> None:
    webhook = typer.Typer(help="Say who is told of changes by webhook.", no_args_is_help=True)
    webhook.callback()(_group)
    webhook.command("add", epilog=ADD_EXAMPLES)(add)
    webhook.command("list", epilog=LIST_EXAMPLES)(list_all)
    webhook.command("enable", epilog=ENABLE_EXAMPLES)(enable)
    app.add_typer(webhook, name="webhook")


def _group() -> None:
    """Say who is told of changes by webhook (the table webhook_subscription)."""


def add(
    url: Annotated[str, typer.Option(help="Where to send; http and private addresses only where local.")],
    model: Annotated[str, typer.Option(help="Of which model's changes to tell.")],
    owner: Annotated[str, typer.Option(help="Whose subscription it is.")] = "admin",
    secret: Annotated[
        str | None, typer.Option(help="Sign with this whsec_… secret too (Standard Webhooks); - reads it from stdin.")
    ] = None,
    new_secret: Annotated[bool, typer.Option("--new-secret", help="Make a secret and print it once.")] = False,
    as_json: AsJson = False,
) -> None:
    """Add a subscription and print its id; what it does is said on standard error, a new secret too."""
    if secret is not None and new_secret:
        raise typer.BadParameter("give --secret or --new-secret, not both")
    signs_with = generate_secret() if new_secret else _given(secret)
    try:
        added = run(_add(load_settings(), owner, model, url, signs_with))
    except InvalidSubscription as error:
        raise typer.BadParameter(one_line(error.problem), param_hint=f"--{error.field}") from error
    made = {"secret": signs_with.get_secret_value()} if new_secret and signs_with is not None else {}
    if as_json:
        say_json(_as_json(added) | made)
        return
    say(added.id)
    note(one_line(f"added subscription {added.id}: changes of {added.model} go to {added.url}"))
    if made:
        note(f"secret (shown only now): {made['secret']}")


def _given(text: str | None) -> SecretStr | None:
    """`-` stands for standard input: everybody on the machine can see the words of a command."""
    if text is None:
        return None
    return SecretStr(read_stdin().strip() if text == "-" else text)


def list_all(as_json: AsJson = False) -> None:
    """Print all subscriptions, the oldest first."""
    rows = run(_list(load_settings()))
    if as_json:
        say_json([_as_json(row) for row in rows])
    elif not rows:
        say("no subscriptions; add one with `jobqueue webhook add`")
    else:
        _print_all(rows)


def enable(
    subscription_id: Annotated[str, typer.Argument(metavar="ID", help="The subscription's id.")],
    as_json: AsJson = False,
) -> None:
    """Make a subscription active again, with its count of failures at zero."""
    enabled = run(_enable(load_settings(), subscription_id))
    if as_json:
        say_json(_as_json(enabled))
    else:
        say(f"subscription {enabled.id} is active")


async def _add(settings: Settings, owner: str, model: str, url: str, secret: SecretStr | None) -> Subscription:
    async with open_database(settings.database_url) as database:
        return await subscriptions.add(
            database, owner=owner, model=model, url=url, secret=secret, is_local=settings.is_local
        )


async def _list(settings: Settings) -> Sequence[Subscription]:
    async with open_database(settings.database_url) as database:
        return await subscriptions.list_all(database)


async def _enable(settings: Settings, subscription_id: str) -> Subscription:
    async with open_database(settings.database_url) as database:
        return await subscriptions.enable(database, subscription_id)


def _print_all(rows: Sequence[Subscription]) -> None:
    print_table(("ID", "OWNER", "MODEL", "URL", "STATUS"), map(_cells, rows), whole=("ID",))


def _cells(row: Subscription) -> tuple[str, ...]:
    status = "active" if row.is_active else f"disabled after {row.consecutive_failures} failures"
    return row.id, row.owner, row.model, row.url, status


def _as_json(row: Subscription) -> dict[str, Any]:
    """Without the secret: that is shown once, when it is made."""
    return {
        "id": row.id,
        "owner": row.owner,
        "model": row.model,
        "url": row.url,
        "hasSecret": row.secret is not None,
        "isActive": row.is_active,
        "consecutiveFailures": row.consecutive_failures,
        "createdAt": row.created_at.isoformat(),
    }
