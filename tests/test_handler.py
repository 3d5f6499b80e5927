"""The typed handler: what its payload may be, its policy, and copies of both."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, SecretStr, TypeAdapter, computed_field
from typing_extensions import TypedDict

from jobqueue import DefinitionError, Keep, exponential, fixed
from jobqueue.context import JobContext
from jobqueue.handler import has_secrets, payload_adapter
from jobqueue.job import KEEP_COMPLETED, KEEP_FAILED, Backoff
from jobqueue.policy import Policy
from jobqueue.wrappers import make_job
from tests.support.naming import plainly


class Login(BaseModel):
    user: str
    password: SecretStr


class Account(BaseModel):
    logins: list[Login]


@dataclass
class Point:
    x: int
    y: int


class Size(TypedDict):
    width: int


# Policies


def test_the_default_policy_is_that_of_the_documentation() -> None:
    policy = Policy()

    assert (policy.attempts, policy.backoff) == (3, exponential(5_000))
    assert (policy.timeout_ms, policy.grace_ms, policy.first_delay_ms, policy.priority) == (None, 5_000, 0, 0)
    assert (policy.keep_completed, policy.keep_failed, policy.keep_logs) == (KEEP_COMPLETED, KEEP_FAILED, 1_000)
    assert (policy.max_claims, policy.unrecoverable, policy.queue) == (3, (), None)
    assert (policy.duplicates, policy.ordered, policy.concurrency, policy.rate_limit) == ("allow", False, None, None)
    assert (policy.ack, policy.run_in) == ("auto", None)


def slow_start(attempt: int, error: BaseException) -> int:
    return attempt * 10


GOOD: list[dict[str, Any]] = [
    {"attempts": 1},
    {"timeout_ms": None},
    {"priority": 2_097_151},
    {"grace_ms": 0},
    {"keep_logs": 0},
    {"queue": "mail"},
    {"backoff": 0},
    {"backoff": slow_start},
    {"keep_failed": Keep(count=0)},
    {"unrecoverable": (KeyError, ValueError)},
    {"duplicates": "reject"},
    {"ordered": True},
    {"ack": "manual"},
    {"run_in": "process"},
]


@pytest.mark.parametrize("changes", GOOD, ids=plainly)
def test_a_policy_takes_what_is_in_range(changes: dict[str, Any]) -> None:
    assert Policy().replace(**changes) != Policy() or changes == {"timeout_ms": None}


BAD: list[tuple[str, Any]] = [
    ("attempts", 0),
    ("attempts", -1),
    ("attempts", 1.5),
    ("attempts", "3"),
    ("attempts", True),
    ("attempts", None),
    ("timeout_ms", 0),
    ("timeout_ms", 0.5),
    ("grace_ms", -1),
    ("grace_ms", None),
    ("first_delay_ms", -1),
    ("priority", -1),
    ("priority", 2_097_152),
    ("keep_logs", -1),
    ("max_claims", 0),
    ("backoff", -1),
    ("backoff", True),
    ("backoff", None),
    ("backoff", "exponential"),
    ("queue", ""),
    ("queue", "a:b"),
    ("queue", "line\nbreak"),
    ("queue", 3),
    ("keep_completed", 5),
    ("keep_failed", None),
    ("unrecoverable", ["ValueError"]),
    ("unrecoverable", ValueError),
    ("unrecoverable", ("ValueError",)),
    *(("duplicates", value) for value in ("drop", "", None, True)),
    *(("ordered", value) for value in ("yes", 1, None)),
    *(("ack", value) for value in ("late", "", None, False)),
    *(("run_in", value) for value in ("thread", "", True)),
    *(("concurrency", value) for value in (0, -1, 1.5, "3", True, 1_000_001, [3], {"max": 3})),
    *(("rate_limit", value) for value in (10, "10/s", (), (1,), (1, 2, 3), {"max": 1, "per_ms": 2}, {1, 2})),
    *(("rate_limit", value) for value in ((0, 1), (1, 0), (1, -1), (1.0, 5), (True, 5), ("1", 5), (1, 10**15))),
]


@pytest.mark.parametrize(("name", "value"), BAD)
def test_a_policy_out_of_range_names_the_option(name: str, value: Any) -> None:
    with pytest.raises(DefinitionError, match=f"^{name}[:.]"):
        Policy().replace(**{name: value})


def test_an_unknown_option_is_named() -> None:
    with pytest.raises(DefinitionError, match=r"^retries: is not an option"):
        Policy().replace(retries=3)


def test_a_number_as_backoff_means_fixed() -> None:
    assert Policy().replace(backoff=250).backoff == fixed(250)


def test_a_handler_with_another_policy_is_a_copy() -> None:
    @make_job(attempts=2)
    async def send(ctx: JobContext) -> None: ...

    other = send.with_policy(attempts=9)

    assert (send.policy.attempts, other.policy.attempts) == (2, 9)
    assert other.function is send.function
    assert send.with_policy() is send


def test_a_handler_is_frozen() -> None:
    @make_job
    async def send(ctx: JobContext) -> None: ...

    untyped: Any = send
    with pytest.raises(dataclasses.FrozenInstanceError):
        untyped.name = "other"


# Backoff


@pytest.mark.parametrize(("attempt", "delay_ms"), [(1, 100), (2, 200), (3, 400), (10, 51_200)])
def test_exponential_backoff_doubles(attempt: int, delay_ms: int) -> None:
    assert exponential(100).delay_before(attempt) == delay_ms


def test_fixed_backoff_stays() -> None:
    assert [fixed(70).delay_before(attempt) for attempt in (1, 2, 50)] == [70, 70, 70]


def test_jitter_takes_away_at_most_its_share() -> None:
    delays = {fixed(1_000, jitter=0.3).delay_before(1) for _ in range(500)}

    assert all(700 <= delay <= 1_000 for delay in delays)
    assert len(delays) > 50


@pytest.mark.parametrize("jitter", [0.0, 0.5, 1.0])
def test_backoff_of_a_very_late_attempt_is_still_a_time_that_redis_takes(jitter: float) -> None:
    """`2 ** attempt` has no end: at attempt 1,100 it is no float any more, at 60 no time that Redis can store."""
    delay_ms = exponential(5_000, jitter=jitter).delay_before(1_100)

    assert 0 <= delay_ms <= 2**53 / 4096


@pytest.mark.parametrize(("delay_ms", "jitter"), [(-1, 0.0), (1, -0.1), (1, 1.1), (1, float("nan"))])
def test_backoff_out_of_range_is_refused(delay_ms: int, jitter: float) -> None:
    with pytest.raises(ValueError, match=r"delay_ms|jitter"):
        fixed(delay_ms, jitter=jitter)


@pytest.mark.parametrize("kind", ["linear", "", None])
def test_a_backoff_of_an_unknown_kind_is_refused(kind: Any) -> None:
    with pytest.raises(ValueError, match="kind"):
        Backoff(kind=kind, delay_ms=5)


@pytest.mark.parametrize("limits", [{"count": -1}, {"age_s": -1}, {"count": 1.5}, {"age_s": "week"}])
def test_a_retention_out_of_range_is_refused(limits: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=next(iter(limits))):
        Keep(**limits)


# Payload types


async def takes_model(ctx: JobContext, payload: Login) -> None: ...
async def takes_dataclass(ctx: JobContext, payload: Point) -> None: ...
async def takes_typed_dict(ctx: JobContext, payload: Size) -> None: ...
async def takes_list(ctx: JobContext, payload: list[int]) -> None: ...
async def takes_annotated(ctx: JobContext, payload: Annotated[int, Field(gt=0)]) -> None: ...
async def takes_none(ctx: JobContext, payload: None) -> None: ...
async def takes_optional(ctx: JobContext, payload: Point | None = None) -> None: ...
def takes_in_a_thread(ctx: JobContext, payload: Point) -> None: ...


@pytest.mark.parametrize(
    ("function", "good", "bad"),
    [
        (takes_model, {"user": "ada", "password": "x"}, {"user": "ada"}),
        (takes_dataclass, {"x": 1, "y": 2}, {"x": 1}),
        (takes_typed_dict, {"width": 1}, {"height": 1}),
        (takes_list, [1, 2], ["one"]),
        (takes_annotated, 1, 0),
        (takes_none, None, 0),
        (takes_optional, None, {"x": 1}),
        (takes_in_a_thread, {"x": 1, "y": 2}, None),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_payload_may_be_any_type_that_pydantic_takes(function: Any, good: Any, bad: Any) -> None:
    adapter = payload_adapter(function)

    assert adapter is not None
    adapter.validate_python(good)
    with pytest.raises(ValueError, match="validation error"):
        adapter.validate_python(bad)


def test_a_function_of_the_context_alone_takes_no_payload() -> None:
    async def tidy(ctx: JobContext) -> None: ...

    assert payload_adapter(tidy) is None


def test_secrets_are_found_at_any_depth() -> None:
    async def nested(ctx: JobContext, payload: dict[str, list[Account]]) -> None: ...

    assert has_secrets(payload_adapter(nested))
    assert not has_secrets(payload_adapter(takes_dataclass))
    assert not has_secrets(None)


class WithKeyOfItsOwn(BaseModel):
    user: str

    @computed_field
    def key(self) -> SecretStr:
        return SecretStr(f"key of {self.user}")


def test_a_secret_that_a_payload_makes_itself_counts_as_one_that_it_holds() -> None:
    assert has_secrets(TypeAdapter(WithKeyOfItsOwn))
