"""What a caller may ask for one job: what is in range is taken as it was given."""

from __future__ import annotations

from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

import pytest

from jobqueue.job import MAX_DELAY_MS, EnqueueOptions, Related, fixed
from jobqueue.options import CheckedOptions, check_options


class Kind(StrEnum):
    ORDER = "order"


def asked(**options: Any) -> CheckedOptions:
    """The options, checked, as a caller without a type checker gives them."""
    untyped: Any = options
    return check_options(untyped)


def test_nothing_asked_leaves_everything_to_the_handler_s_policy() -> None:
    assert asked() == CheckedOptions()


def test_an_option_that_is_none_counts_as_not_given() -> None:
    assert asked(**dict.fromkeys(EnqueueOptions.__annotations__)) == CheckedOptions()


def test_everything_that_can_be_asked_is_taken() -> None:
    run_at = datetime(2030, 1, 1, tzinfo=UTC)

    assert asked(
        run_at=run_at,
        priority=3,
        attempts=2,
        backoff=50,
        timeout_ms=5,
        job_id="mail-1",
        queue="mails",
        order_key="channel:42",
        related=("order", "7"),
        created_by="ada",
        expires_in_ms=1_000,
    ) == CheckedOptions(
        run_at_ms=1_893_456_000_000,
        priority=3,
        attempts=2,
        backoff=fixed(50),
        timeout_ms=5,
        job_id="mail-1",
        queue="mails",
        order_key="channel:42",
        related=Related("order", "7"),
        created_by="ada",
        expires_in_ms=1_000,
    )


@pytest.mark.parametrize("text", ["k", " ", "x" * 200, "a:b", "{a}", "ünïcode", "🐘" * 200, "42"])
def test_an_order_key_and_a_related_object_are_any_text_without_control_characters(text: str) -> None:
    checked = asked(order_key=text, related=(text, text))

    assert (checked.order_key, checked.related) == (text, Related(text, text))


def test_a_related_object_may_be_given_as_a_record() -> None:
    assert asked(related=Related("order", "7")).related == Related("order", "7")


def test_a_member_of_an_enumeration_is_its_value() -> None:
    related = asked(related=(Kind.ORDER, "7")).related

    assert related == ("order", "7")
    assert related is not None
    assert type(related.type) is str


@pytest.mark.parametrize("creator", ["ada", "41", "x" * 255, "repeat:tick:1900000000000"])
def test_a_creator_may_be_a_person_a_job_or_whatever_has_a_name(creator: str) -> None:
    assert asked(created_by=creator).created_by == creator


@pytest.mark.parametrize("expires_in_ms", [1, MAX_DELAY_MS])
def test_a_job_may_expire_in_a_millisecond_or_in_fifty_years(expires_in_ms: int) -> None:
    assert asked(expires_in_ms=expires_in_ms).expires_in_ms == expires_in_ms
