"""Payload types: what a worker's handler gets is what was enqueued, whatever pydantic can describe."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import Annotated, Any
from uuid import UUID

import pytest
from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretBytes, SecretStr, computed_field
from redis.asyncio import Redis
from typing_extensions import TypedDict

from jobqueue import App, Handler, InvalidPayload, JobContext, Registry, make_job
from tests.conftest import MakeSettings
from tests.patterns.working import WAIT_S, working

NUMBER = UUID(int=7)
NOON = datetime(2026, 1, 2, 12, tzinfo=UTC)


class Colour(Enum):
    RED = "red"


@dataclass
class Point:
    x: int
    label: str = "here"


class Size(TypedDict):
    width: int


class Aliased(BaseModel):
    resource_id: str = Field(alias="resourceId")


class AliasedOrNamed(BaseModel):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)
    resource_id: str = Field(alias="resourceId")


class ValidationAlias(BaseModel):
    resource_id: str = Field(validation_alias="resourceId")


class AliasChoice(BaseModel):
    resource_id: str = Field(validation_alias=AliasChoices("resourceId", "id"))


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    at: datetime
    within: timedelta
    number: UUID
    colour: Colour
    pair: tuple[int, int]


class Computed(BaseModel):
    model_config = ConfigDict(extra="forbid")
    width: int

    @computed_field
    def area(self) -> int:
        return self.width**2


class Login(BaseModel):
    token: SecretStr
    raw: SecretBytes


class Vault(BaseModel):
    logins: list[dict[str, Login]]
    by_id: dict[UUID, int]
    by_day: dict[date, int]
    price: Decimal
    lasts: timedelta


LOGIN = Login(token=SecretStr("hunter2"), raw=SecretBytes(b"raw"))
VAULT = Vault(
    logins=[{"a": LOGIN}],
    by_id={NUMBER: 1},
    by_day={date(2026, 1, 2): 1},
    price=Decimal("1.10"),
    lasts=timedelta(seconds=90),
)

PAYLOADS: list[tuple[Any, Any]] = [
    (Point, Point(1)),
    (Size, {"width": 1}),
    (list[int], [1, 2]),
    (Annotated[int, Field(gt=0)], 1),
    (None, None),
    (Point | None, None),
    (str | int, 5),
    (str | int, "5"),
    (Aliased, Aliased(resourceId="r1")),
    (AliasedOrNamed, AliasedOrNamed.model_validate({"resource_id": "r1"})),
    (ValidationAlias, ValidationAlias.model_validate({"resourceId": "r1"})),
    (AliasChoice, AliasChoice.model_validate({"id": "r1"})),
    (Strict, Strict(at=NOON, within=timedelta(days=1, microseconds=3), number=NUMBER, colour=Colour.RED, pair=(1, 2))),
    (Computed, Computed(width=3)),
    (Vault, VAULT),
    (dict[int, str], {1: "one"}),
    (tuple[int, str], (1, "one")),
    (set[int], {1, 2}),
    (bytes, b"plain"),
    (SecretStr, SecretStr("hunter2")),
    (Any, {"free": [1, None, "ünïcode \u2028 \x00"]}),
    (int, 2**63),
    (float, 0.1),
]


def keeping(kind: Any, received: list[Any]) -> Handler[Any]:
    """A handler of this payload type that keeps what it gets."""

    async def keep(ctx: JobContext, payload: Any) -> None:
        received.append(payload)

    keep.__annotations__["payload"] = kind
    return make_job(keep, attempts=1)


@pytest.mark.parametrize(("kind", "payload"), PAYLOADS, ids=[f"{kind!s:.40}" for kind, _ in PAYLOADS])
async def test_a_payload_arrives_as_it_was_enqueued(settings: MakeSettings, kind: Any, payload: Any) -> None:
    received: list[Any] = []
    handler = keeping(kind, received)

    async with working(settings(), handler) as app:
        await (await app.enqueue_job(handler, payload)).wait(WAIT_S)

    assert received == [payload]


async def test_a_nested_secret_travels_in_clear_and_shows_in_no_repr(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    received: list[Any] = []
    handler = keeping(Vault, received)

    async with App(Registry([handler]), settings()) as app:
        enqueued = await app.enqueue_job(handler, VAULT)
    stored = str(await redis.hget(f"{prefix}:jobs:{enqueued.job_id}", "data"))

    assert '"token":"hunter2"' in stored
    assert "**" not in stored
    assert "hunter2" not in repr(VAULT) + repr(enqueued)


async def test_a_secret_in_a_field_of_any_type_travels_in_clear_too(
    settings: MakeSettings, redis: Redis, prefix: str
) -> None:
    """Its type does not tell of a secret, so pydantic's mask was stored in its place, and the secret was lost."""
    handler = keeping(dict[str, Any], [])

    async with App(Registry([handler]), settings()) as app:
        enqueued = await app.enqueue_job(handler, {"token": SecretStr("hunter2")})

    assert '"token":"hunter2"' in str(await redis.hget(f"{prefix}:jobs:{enqueued.job_id}", "data"))


async def test_a_strict_model_is_enqueued_by_name_as_json_would_have_it(settings: MakeSettings) -> None:
    """A name comes from outside, and so does its payload: JSON has no datetime, and a strict model takes its text."""
    received: list[Any] = []
    handler = keeping(Strict, received)
    as_json = {"at": "2026-01-02T12:00:00Z", "within": "P1D", "number": str(NUMBER), "colour": "red", "pair": [1, 2]}

    async with working(settings(), handler) as app:
        await (await app.enqueue_job(handler.name, as_json)).wait(WAIT_S)

    assert received[0].at == NOON


async def test_a_secret_is_not_in_the_error_about_its_payload(settings: MakeSettings) -> None:
    handler = keeping(Login, [])

    async with App(Registry([handler]), settings()) as app:
        with pytest.raises(InvalidPayload) as refused:
            await app.enqueue_job(handler, {"token": ["hunter2"]})

    assert "hunter2" not in str(refused.value)


async def test_a_handler_without_payload_says_so_without_repeating_what_it_got(settings: MakeSettings) -> None:
    async def tidy(ctx: JobContext) -> None: ...

    untyped: Any = make_job(tidy)

    async with App(Registry([untyped]), settings()) as app:
        with pytest.raises(InvalidPayload, match="takes none") as refused:
            await app.enqueue_job(untyped, {"password": "hunter2"})

    assert "hunter2" not in str(refused.value)
