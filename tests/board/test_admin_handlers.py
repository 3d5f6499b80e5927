"""The admin route of the handlers shows no value of a secret."""

from __future__ import annotations

import json

from pydantic import BaseModel, Field, SecretStr

from board import create_app
from jobqueue.app import App
from jobqueue.context import JobContext
from jobqueue.registry import Registry
from jobqueue.wrappers import make_job
from tests.board.support import client_of
from tests.conftest import MakeSettings


class _Charge(BaseModel):
    api_key: str = Field("sesame-1", alias="apiKey")
    pin: SecretStr = SecretStr("sesame-2")
    currency: str = "EUR"


@make_job(name="charge")
async def _charge(ctx: JobContext, payload: _Charge) -> None:
    """Takes a secret that has a default."""


async def test_the_default_of_a_secret_is_not_in_the_schema_of_its_handler(settings: MakeSettings) -> None:
    async with App(Registry([_charge]), settings(environment="local")) as app, client_of(create_app(app)) as client:
        answers = [await client.get("/api/admin/handler"), await client.get("/api/openapi.json")]
    [handler] = answers[0].json()["data"]
    assert handler["payloadSchema"]["properties"]["currency"]["default"] == "EUR"
    assert "sesame" not in json.dumps([answer.json() for answer in answers])
