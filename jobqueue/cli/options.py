"""Options: those that several commands share, with their words of help and what completes them."""

from __future__ import annotations

from typing import Annotated

import typer

from jobqueue.cli.completing import handler_names, queue_names, state_words

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, in the shape of the admin routes.")]
Yes = Annotated[bool, typer.Option("--yes", help="Do not ask.")]
RegistryName = Annotated[
    str | None, typer.Option("--registry", metavar="TEXT", help="module:attribute instead of JOBS_REGISTRY.")
]
Reloads = Annotated[bool, typer.Option("--reload", help="Start anew when a .py file changes.")]
JobQueue = Annotated[
    str | None, typer.Option("--queue", help="The job's queue; JOBS_QUEUE by default.", autocompletion=queue_names)
]
HandlerName = Annotated[str, typer.Option(help="The handler's name.", autocompletion=handler_names)]
QueueName = Annotated[str, typer.Argument(metavar="QUEUE", help="The queue's name.", autocompletion=queue_names)]

# Filters, as the admin routes have them.
StateWord = Annotated[str | None, typer.Option("--state", help="Jobs in this state.", autocompletion=state_words)]
OfName = Annotated[
    str | None, typer.Option("--name", help="Jobs of this handler, exactly.", autocompletion=handler_names)
]
Related = Annotated[
    str | None, typer.Option("--related", metavar="TYPE:ID", help="Jobs about this object, like order:7.")
]
CreatedBy = Annotated[str | None, typer.Option("--created-by", help="Jobs that this one asked for.")]
OrderKey = Annotated[str | None, typer.Option("--order-key", help="Jobs of this order key.")]
From = Annotated[
    str | None,
    typer.Option("--from", metavar="TIME", help="From this time on: ISO 8601 with a zone, or epoch milliseconds."),
]
To = Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to this time.")]
Text = Annotated[
    str | None,
    typer.Option("--q", metavar="TEXT", help="Jobs with this text in id, name, payload or error, in any letter case."),
]
