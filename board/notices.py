"""Notices: what came of an act, told on the page that follows. The query has a word and a number, no sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from starlette.requests import Request

_MOST: Final = 10**12

SENTENCES: Final[Mapping[str, tuple[str, str]]] = {
    "retried": ("1 job was put back to waiting.", "{} jobs were put back to waiting."),
    "cancelled": ("1 job was cancelled.", "{} jobs were cancelled."),
    "promoted": ("1 job was promoted.", "{} jobs were promoted."),
    "nothing": ("Nothing was done: no job was ticked.", "Nothing was done: no job was ticked."),
    "removed": ("1 job was removed.", "{} jobs were removed."),
    "paused": ("The queue is paused.", "The queue is paused."),
    "resumed": ("The queue runs again.", "The queue runs again."),
    "enqueued": ("The job was enqueued.", "{} jobs were enqueued."),
    "spilled": ("The queue is full: the job waits here until it has room.", "The queue is full: {} jobs wait here."),
    "existed": ("A job of this id exists already, so nothing was enqueued.", "These jobs exist already."),
    "cancelling": ("The job was told to stop; its worker ends it in a moment.", "{} jobs were told to stop."),
    "triggered": ("The cron job was triggered.", "{} cron jobs were triggered."),
    "created": ("The cron job was created.", "{} cron jobs were created."),
    "saved": ("The changes were saved.", "The changes were saved."),
    "enabled": ("The cron job is enabled.", "The cron job is enabled."),
    "disabled": ("The cron job is disabled.", "The cron job is disabled."),
    "rows-removed": ("The row was removed; its job will not run.", "{} rows were removed; their jobs will not run."),
    "rows-retried": ("The row will be tried again.", "{} rows will be tried again."),
    "deleted": ("The cron job was deleted.", "{} cron jobs were deleted."),
}
"""Word -> the sentence for one, and for any other number."""


def noted(address: str, word: str, count: int = 1) -> str:
    """The address of a page that will say what happened. The address may have a query, but no fragment."""
    joint, counted = "&" if "?" in address else "?", "" if count == 1 else f"&count={count}"
    return f"{address}{joint}notice={word}{counted}"


def sentence(word: str, count: int) -> str:
    """What happened, as a sentence. Raises: KeyError for a word that has none."""
    one, many = SENTENCES[word]
    return one if count == 1 else many.format(f"{count:,}")


def notice_of(request: Request) -> str | None:
    """The sentence that the query asks for; None for a word that has none. Nothing else of the query gets in."""
    word, given = request.query_params.get("notice", ""), request.query_params.get("count", "1")
    count = min(int(given[:20]), _MOST) if given.isascii() and given.isdigit() else 1
    return sentence(word, count) if word in SENTENCES else None
