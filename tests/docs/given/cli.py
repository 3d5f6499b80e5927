"""What docs/cli.md takes for granted: a service with jobs of its own."""

from __future__ import annotations

JOBS_REGISTRY = "company.jobs:registry"
FILES = {
    "company/jobs.py": """
from handlers.heartbeat import heartbeat
from handlers.resources import open_resources
from handlers.send_webhook import send_webhook
from jobqueue import JobContext, Registry, make_job


@make_job(name="sendInvoice")
async def send_invoice(ctx: JobContext, payload: dict[str, int]) -> None: ...


@make_job(name="sendReport")
async def send_report(ctx: JobContext) -> None: ...


@make_job(name="syncData")
async def sync_data(ctx: JobContext, payload: dict[str, str]) -> None: ...


registry = Registry([heartbeat, send_webhook, send_invoice, send_report, sync_data], lifespan=open_resources)
"""
}
