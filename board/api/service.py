"""Service: what a program may ask of the board itself: is it well, its metrics, and the document of all operations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from board.api.answers import Data, StatusShown
from board.api.openapi import Schema, document
from board.api.operations import Operation
from board.health import Check, Health
from board.json import Json
from board.outbox import rows_of
from board.prometheus import MEDIA_TYPE, Metrics
from board.site import Site

OPENAPI_PATH: Final = "/api/openapi.json"
METRICS_PATH: Final = "/metrics"


def health_operations(checks: dict[str, Check]) -> tuple[Operation, ...]:
    """`checks` are what `/readyz` asks, by the field of its answer."""
    health = Health(checks)
    return (
        Operation(
            method="GET",
            path="/healthz",
            summary="Whether the process turns; open to anyone",
            answer=health.alive,
            answers={200: Data[StatusShown]},
            proofs="none",
        ),
        Operation(
            method="GET",
            path="/readyz",
            summary="Whether Redis and the database answer; open to anyone",
            answer=health.ready,
            answers={200: Data[StatusShown]},
            proofs="none",
        ),
    )


def metrics_operation(site: Site) -> Operation:
    return Operation(
        method="GET",
        path=METRICS_PATH,
        summary="The queues in the text format of Prometheus",
        answer=Metrics(site.inspector, rows_of(site).see).show,
        answers={200: str},
        proofs="basic",
        media_type=MEDIA_TYPE,
    )


def openapi_operation(site: Site, others: Sequence[Operation]) -> Operation:
    """The document of these operations and itself."""
    return _Document(site, others).operation


@dataclass(frozen=True, slots=True)
class _Document:
    site: Site
    others: Sequence[Operation]

    @property
    def operation(self) -> Operation:
        return Operation(
            method="GET",
            path=OPENAPI_PATH,
            summary="This document",
            answer=self.show,
            answers={200: Schema},
            proofs="basic",
        )

    async def show(self, request: Request) -> Response:
        root_path: str = request.scope.get("root_path", "")
        return Json(document([*self.others, self.operation], root_path, self.site.app.registry.names))
