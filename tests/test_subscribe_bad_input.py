"""`subscribe` with what it cannot take: refused at the call, naming what was wrong and what would be right."""

from __future__ import annotations

from typing import Any

import pytest

from jobqueue import App, InvalidOption, Registry, UnknownHandler, make_job
from tests.conftest import MakeSettings
from tests.subscribing import echo

BAD: tuple[tuple[dict[str, Any], str], ...] = (
    ({}, "job_id: give one of job_id, handler and related, not none of them"),
    ({"job_id": "7", "handler": echo}, "handler: give one of .*, not job_id and handler"),
    ({"job_id": "7", "handler": echo, "related": ("a", "b")}, "related: give one of .*, not job_id and handler and"),
    ({"job_id": ""}, "job_id: must be the id of a job, a text, not ''"),
    ({"job_id": 7}, "job_id: must be the id of a job, a text, not 7"),
    ({"handler": echo.function}, "handler: must be a handler or its name, not <function echo"),
    ({"related": "order"}, r"related: must be a pair of texts \(type, id\), not 'order'"),
    ({"related": ("order", 7)}, "related: must be a text of 1 to 200 characters .*, not 7"),
    ({"related": ("order", "7\n")}, "related: must be a text of 1 to 200 characters without control characters"),
    ({"related": ("order", "7", "8")}, "related: must be a pair of texts"),
    ({"job_id": "7", "queue": "a:b"}, "queue: must be 1 to 200 characters without ':'"),
    ({"job_id": "7", "buffer": 0}, "buffer: must be a whole number of outcomes, at least 1, not 0"),
    ({"job_id": "7", "buffer": 2.5}, "buffer: must be a whole number of outcomes, at least 1, not 2.5"),
    ({"job_id": "7", "buffer": True}, "buffer: must be a whole number of outcomes, at least 1, not True"),
)


@pytest.mark.parametrize(("wrong", "told"), BAD, ids=[told[:60] for _, told in BAD])
async def test_what_cannot_be_subscribed_to_is_refused_at_the_call(
    settings: MakeSettings, wrong: dict[str, Any], told: str
) -> None:
    async with App(Registry([echo]), settings()) as app:
        with pytest.raises(InvalidOption, match=told):
            app.subscribe(**wrong)


async def test_a_name_that_no_handler_has_is_refused_and_a_handle_needs_no_registry(settings: MakeSettings) -> None:
    elsewhere = make_job(echo.function, name="elsewhere")
    async with App(Registry([echo]), settings()) as app:
        with pytest.raises(UnknownHandler, match=r"no handler is named 'ecko' \(registered: echo\)"):
            app.subscribe(handler="ecko")

        app.subscribe(handler=elsewhere)
