"""Handlers: the jobs that come with jobqueue, one file each, and the registry of them all."""

from __future__ import annotations

from handlers.clean_stale_data import clean_stale_data
from handlers.heartbeat import heartbeat
from handlers.queue_cleanup import queue_cleanup
from handlers.queue_insights import queue_insights
from handlers.resources import open_resources
from handlers.send_webhook import send_webhook
from jobqueue import Registry

registry = Registry(
    [heartbeat, send_webhook, queue_cleanup, queue_insights, clean_stale_data],
    lifespan=open_resources,
)
