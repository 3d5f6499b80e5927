"""Handlers: the jobs that come with jobqueue, one file each, and the registry of them all."""

from __future__ import annotations

from handlers.heartbeat import heartbeat
from handlers.resources import open_resources
from handlers.send_webhook import send_webhook
from jobqueue import Registry

registry = Registry([heartbeat, send_webhook], lifespan=open_resources)
