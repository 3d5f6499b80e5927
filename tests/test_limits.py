"""How many jobs of a handler run at once, for all or for each partition, and the key functions that tell them apart."""

from __future__ import annotations

from collections.abc import Callable
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobqueue import DefinitionError, make_job, make_singleton_job, make_superseding_job
from jobqueue.context import JobContext
from jobqueue.handler import Handler, Singleton
from jobqueue.policy import Limit, RateLimit, call_key_function, limit
from tests.support.naming import plainly


async def send(ctx: JobContext, payload: Any) -> None: ...


def as_it_is(payload: Any) -> Any:
    return payload


class Tenant(StrEnum):
    LARGE = "large"


class Shown(str):
    """A text that is shown otherwise than it is, as the members of an older kind of Enum are."""

    def __str__(self) -> str:
        return f"Tenant.{super().__str__().upper()}"


async def in_a_while(payload: str) -> str:
    return payload


# Limits


def test_a_number_is_a_limit_for_all_jobs_of_the_handler() -> None:
    assert make_job(send, concurrency=3).policy.concurrency == limit(3) == Limit(max=3, by=None)


def test_a_limit_without_partitions_has_one_for_every_payload() -> None:
    assert {limit(3).partition_of(payload) for payload in ("a", None, 5)} == {""}


def test_a_limit_by_a_function_has_a_partition_for_each_of_its_keys() -> None:
    by_tenant = limit(3, by=lambda payload: payload["tenant"])

    assert by_tenant.partition_of({"tenant": "large"}) == "large"
    assert by_tenant.partition_of({"tenant": "small"}) == "small"


def test_a_rate_is_given_as_a_pair() -> None:
    assert make_job(send, rate_limit=(10, 1_000)).policy.rate_limit == RateLimit(max=10, per_ms=1_000)
    assert make_job(send, rate_limit=RateLimit(10, 1_000)).policy.rate_limit == (10, 1_000)


@pytest.mark.parametrize("most", [0, -1, 1.5, "3", None, True, 1_000_001, 10**30], ids=repr)
def test_a_limit_out_of_range_is_refused_where_it_is_made(most: Any) -> None:
    for make in (limit, Limit):
        with pytest.raises(DefinitionError, match=r"^concurrency: must be a whole number from 1 to 1000000"):
            make(most)


@pytest.mark.parametrize("by", [None, "tenant", 5, in_a_while], ids=plainly)
def test_a_partition_that_is_no_function_is_refused_where_the_limit_is_made(by: Any) -> None:
    """`by=None` is the likely slip: a limit for each tenant would become one for all of them."""
    with pytest.raises(DefinitionError, match=r"^concurrency: by: must be a function of the payload"):
        limit(3, by=by)


def test_a_handler_without_payload_has_no_partitions() -> None:
    async def tidy(ctx: JobContext) -> None: ...

    assert make_job(tidy, concurrency=3).policy.concurrency == Limit(3)
    with pytest.raises(DefinitionError, match=r"^concurrency: by: 'tidy' takes no payload"):
        make_job(tidy, concurrency=limit(3, by=as_it_is))


def test_another_number_for_a_handler_keeps_what_its_limit_is_counted_by() -> None:
    handler = make_job(send, concurrency=limit(3, by=as_it_is))

    assert handler.with_policy(concurrency=5).policy.concurrency == limit(5, by=as_it_is)
    assert handler.with_policy(concurrency=limit(5)).policy.concurrency == Limit(5)
    assert handler.with_policy(concurrency=None).policy.concurrency is None


# Key functions


def dedupe_key(payload: Any) -> str | None:
    return make_superseding_job(send, dedupe_key=as_it_is).dedupe_key_of(payload)


def identity(payload: Any) -> str:
    return Singleton(key=as_it_is).identity_of("send", payload)


KEYS: list[Callable[[Any], str | None]] = [dedupe_key, identity, limit(1, by=as_it_is).partition_of]


@pytest.mark.parametrize("key_of", KEYS, ids=["dedupe_key", "key", "by"])
@pytest.mark.parametrize(
    ("given_key", "problem"),
    [
        (None, "not NoneType"),
        (5, "not int"),
        (b"key", "not bytes"),
        (["key"], "not list"),
        ("", "not one of 0"),
        ("x" * 1_001, "not one of 1001"),
        ("x" * 10_240, "not one of 10240"),
        ("line\nbreak", r"not with '\\n'"),
        ("\x00", r"not with '\\x00'"),
        ("\x7f", r"not with '\\x7f'"),
        ("\x85", r"not with '\\x85'"),
        ("{tag}", r"not with '\{'"),
        ("tag}", r"not with '\}'"),
        ("lone \ud800", r"not with '\\ud800'"),
    ],
)
def test_a_key_that_cannot_be_one_is_refused_and_said(
    key_of: Callable[[Any], str | None], given_key: Any, problem: str
) -> None:
    with pytest.raises(ValueError, match=rf"^its [\w' ]+ must give a text .*{problem}$"):
        key_of(given_key)


@pytest.mark.parametrize("error", [KeyError("tenant"), AttributeError(), RecursionError()], ids=repr)
def test_a_key_function_that_raises_is_named_with_what_it_raised(error: Exception) -> None:
    def raises(payload: Any) -> str:
        raise error

    with pytest.raises(ValueError, match=f"^its dedupe_key raised {type(error).__name__}$"):
        call_key_function("dedupe_key", raises, None)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"], exclude_characters="{}"), min_size=1, max_size=1_000))
def test_any_other_text_is_a_key_as_it_stands(key: str) -> None:
    assert call_key_function("by", as_it_is, key) == key


@pytest.mark.parametrize(("member", "value"), [(Shown("small"), "small"), (Tenant.LARGE, "large")])
def test_a_text_of_a_class_of_its_own_is_the_key_that_json_makes_of_it(member: str, value: str) -> None:
    """What is claimed at the enqueueing and what a worker reads from the job must be one key."""
    key = call_key_function("by", as_it_is, member)

    assert (key, type(key), f"{key}") == (value, str, value)


@pytest.mark.parametrize("make", [make_job, make_singleton_job])
def test_a_handler_that_does_not_supersede_has_no_dedupe_key(make: Callable[..., Handler[Any]]) -> None:
    assert make(send).dedupe_key_of("anything") is None
