"""Masked: what is shown of a cron job's payload, and what an edit that was made of it may do."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, JsonValue, SecretStr

from jobqueue import JobContext, Registry, make_job
from jobqueue.cron import CronFields, CronJob
from jobqueue.cron.masked import masked_payload, unmasked_change, unmasked_new
from jobqueue.errors import InvalidCronJob
from jobqueue.masking import MASK


class Login(BaseModel):
    user: str
    pin: SecretStr


@make_job
async def log_in(ctx: JobContext, payload: Login) -> None: ...


@make_job
async def log_in_again(ctx: JobContext, payload: Login) -> None: ...


@make_job
async def anything(ctx: JobContext, payload: dict[str, JsonValue]) -> None: ...


REGISTRY = Registry([log_in, log_in_again, anything])
STORED: dict[str, JsonValue] = {"user": "ann", "pin": "s3cr3t"}
SHOWN: dict[str, JsonValue] = {"user": "ann", "pin": MASK}


def row_of(handler: str, payload: Any) -> CronJob:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    what = {"handler": handler, "payload": payload, "pattern": "@daily", "timezone": "UTC", "description": None}
    rules = {"priority": 0, "enabled": True, "max_attempts": 3, "backoff_ms": 5_000, "overlap": "skip"}
    made = {"misfire": "run_once", "source": "admin", "created_by": None, "created_at": moment, "updated_at": moment}
    fields: dict[str, Any] = {"id": "1", "job_id": "nightly", "name": "nightly", **what, **rules, **made}
    return CronJob(**fields)


LOG_IN = row_of("log_in", STORED)
GONE = row_of("gone", STORED)


def refused(row: CronJob, changes: CronFields) -> list[str]:
    """The fields that are named."""
    with pytest.raises(InvalidCronJob) as caught:
        unmasked_change(row, changes, REGISTRY)
    assert "s3cr3t" not in str(caught.value)
    return list(caught.value.field_errors)


def test_what_its_handlers_type_hides_is_masked() -> None:
    assert masked_payload(LOG_IN, REGISTRY) == SHOWN


def test_of_a_handler_that_is_not_known_here_nothing_is_shown() -> None:
    """Masked by names alone, the pin was for everybody to see once the handler had left the registry."""
    assert masked_payload(GONE, REGISTRY) == MASK


@pytest.mark.parametrize("payload", [None, {}, []])
def test_where_there_is_nothing_in_a_payload_that_is_shown(payload: JsonValue) -> None:
    assert masked_payload(replace(GONE, payload=payload), REGISTRY) == payload


def test_a_payload_that_comes_back_has_its_secrets_again() -> None:
    assert unmasked_change(LOG_IN, {"payload": SHOWN | {"user": "bob"}, "priority": 3}, REGISTRY) == {
        "payload": {"user": "bob", "pin": "s3cr3t"},
        "priority": 3,
    }
    assert unmasked_change(GONE, {"payload": MASK}, REGISTRY) == {"payload": STORED}


def test_a_change_of_neither_handler_nor_payload_is_left_as_it_is() -> None:
    for row in (LOG_IN, GONE):
        assert unmasked_change(row, {"enabled": False}, REGISTRY) == {"enabled": False}


@pytest.mark.parametrize("row", [LOG_IN, GONE], ids=["of a known handler", "of one that is not known"])
def test_no_handler_that_shows_a_secret_takes_it_over(row: CronJob) -> None:
    assert refused(row, {"handler": "anything"}) == ["payload"]
    assert refused(row, {"handler": "anything", "payload": masked_payload(row, REGISTRY)}) == ["payload"]


def test_a_handler_that_hides_a_secret_takes_it_over() -> None:
    assert unmasked_change(LOG_IN, {"handler": "log_in_again"}, REGISTRY) == {"handler": "log_in_again"}


def test_a_payload_that_is_given_anew_goes_anywhere() -> None:
    anew: CronFields = {"handler": "anything", "payload": {"n": 1}}
    assert unmasked_change(GONE, anew, REGISTRY) == unmasked_change(LOG_IN, anew, REGISTRY) == anew


def test_a_handler_that_was_renamed_takes_over_what_has_nothing_to_hide() -> None:
    renamed: CronFields = {"handler": "anything"}
    assert unmasked_change(replace(GONE, payload={}), renamed, REGISTRY) == renamed


def test_a_mask_that_stands_for_nothing_is_named() -> None:
    assert refused(LOG_IN, {"payload": {"user": MASK, "pin": MASK}}) == ["payload.user"]
    with pytest.raises(InvalidCronJob, match=r"payload\.pin: is masked"):
        unmasked_new({"name": "new", "payload": SHOWN})


def test_a_new_cron_job_is_what_was_given() -> None:
    assert unmasked_new({"name": "new", "payload": STORED}) == {"name": "new", "payload": STORED}
    assert unmasked_new({"name": "new"}) == {"name": "new"}
