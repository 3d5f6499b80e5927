"""API: what programs may ask. They send JSON and get JSON."""

from __future__ import annotations

from board.api.cron import cron_operations
from board.api.jobs import job_operations
from board.api.looking import looking_operations
from board.api.operations import Operation
from board.api.outbox import outbox_operations
from board.api.queues import queue_operations
from board.api.service import health_operations, metrics_operation, openapi_operation
from board.health import Check
from board.site import Site


def all_operations(site: Site, checks: dict[str, Check]) -> tuple[Operation, ...]:
    """Every operation, the document of them too. `checks` are what `/readyz` asks."""
    operations = (
        *job_operations(site),
        *queue_operations(site),
        *cron_operations(site),
        *outbox_operations(site),
        *looking_operations(site),
        *health_operations(checks),
        metrics_operation(site),
    )
    return (*operations, openapi_operation(site, operations))
