"""Checking: what cannot be saved, and how it is said."""

from __future__ import annotations

from typing import Any, Literal, Unpack

import pytest

from jobqueue import App
from jobqueue.cron import CronFields
from jobqueue.cron.checking import check, complete
from jobqueue.errors import InvalidCronJob
from tests.cron.scheduled import FAR, fields


def refuse(app: App, **fields: Unpack[CronFields]) -> None:
    """What `CronJobs.create` does before it opens a transaction."""
    check(complete(fields, app.enqueuer), app.enqueuer)


WRONG: tuple[tuple[str, Any, str], ...] = (
    ("name", "", "1 to 200"),
    ("name", "  ", "1 to 200"),
    ("name", "x" * 201, "1 to 200"),
    ("name", "two\nlines", "control"),
    ("name", 5, "text"),
    ("job_id", "a:b", "':'"),
    ("job_id", "", "1 to 200"),
    ("job_id", None, "text"),
    ("description", 5, "text"),
    ("description", "x" * 2001, "2000"),
    ("description", "a\x00b", "text"),
    ("description", "\ud800", "text"),
    ("pattern", "rubbish", ""),
    ("pattern", "", "text"),
    ("pattern", "* * * *", ""),
    ("pattern", "61 * * * *", ""),
    ("pattern", "* " * 5000, "500"),
    ("pattern", ["*"], "text"),
    ("pattern", "0 0 30 2 *", "never"),
    ("timezone", "Mars/Olympus", "Mars"),
    ("timezone", "", "text"),
    ("timezone", None, "text"),
    ("timezone", "../../etc/passwd", ""),
    ("handler", "nobody", "registered: cleanUp"),
    ("handler", "", "text"),
    ("handler", {"name": "tick"}, "text"),
    ("priority", -1, "0 to"),
    ("priority", 2**21, "0 to"),
    ("priority", "1", "whole number"),
    ("priority", True, "whole number"),
    ("enabled", "yes", "true or false"),
    ("enabled", None, "true or false"),
    ("max_attempts", 0, "from 1"),
    ("max_attempts", 1.5, "whole number"),
    ("backoff_ms", -1, "from 0"),
    ("backoff_ms", 10**15, "from 0"),
    ("overlap", "never", "skip, queue, allow"),
    ("overlap", ["skip"], "skip, queue, allow"),
    ("misfire", "all", "run_once, skip"),
    ("colour", "red", "not a field"),
)


@pytest.mark.parametrize(("name", "value", "says"), WRONG)
def test_a_field_that_is_wrong_is_named(app: App, name: str, value: Any, says: str) -> None:
    with pytest.raises(InvalidCronJob) as refused:
        refuse(app, **fields(**{name: value}))
    assert list(refused.value.field_errors) == [name]
    assert says in refused.value.field_errors[name]


@pytest.mark.parametrize("left_out", ["name", "pattern", "handler"])
def test_a_field_that_is_missing_is_named(app: App, left_out: Literal["name", "pattern", "handler"]) -> None:
    given = fields()
    given.pop(left_out)
    with pytest.raises(InvalidCronJob) as refused:
        refuse(app, **given)
    assert refused.value.field_errors == {left_out: "is missing"}


def test_a_payload_that_its_handler_does_not_take_is_named_field_by_field(app: App) -> None:
    with pytest.raises(InvalidCronJob) as refused:
        refuse(app, **fields(payload={"days": 0, "alsoFailed": "maybe"}))
    assert sorted(refused.value.field_errors) == ["payload.alsoFailed", "payload.days"]


def test_a_payload_for_a_handler_that_takes_none_is_refused(app: App) -> None:
    with pytest.raises(InvalidCronJob) as refused:
        refuse(app, name="n", pattern=FAR, handler="tick", payload={"days": 1})
    assert list(refused.value.field_errors) == ["payload"]


def test_all_that_is_wrong_is_said_at_once(app: App) -> None:
    with pytest.raises(InvalidCronJob) as refused:
        refuse(app, name="", pattern="rubbish", handler="nobody", max_attempts=0)
    assert sorted(refused.value.field_errors) == ["handler", "max_attempts", "name", "pattern"]


def test_a_name_with_a_colon_gives_a_job_id_without(app: App) -> None:
    assert complete(fields(name="tidy: all"), app.enqueuer).get("job_id") == "tidy- all"
