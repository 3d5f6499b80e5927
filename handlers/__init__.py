"""Handlers: the jobs that come with jobqueue, one file each, and the registry of them all."""

from __future__ import annotations

from handlers.clean_dead_archives import clean_dead_archives
from handlers.clean_stale_data import clean_stale_data
from handlers.clean_unverified_users import clean_unverified_users
from handlers.file_cleanup import file_cleanup
from handlers.file_placeholder_image import file_placeholder_image
from handlers.file_transform_image import file_transform_image
from handlers.heartbeat import heartbeat
from handlers.queue_cleanup import queue_cleanup
from handlers.queue_insights import queue_insights
from handlers.resources import open_resources
from handlers.send_webhook import send_webhook
from handlers.session_cleanup import session_cleanup
from handlers.session_leaked import session_leaked
from handlers.verify_profile import verify_profile
from jobqueue import Registry

registry = Registry(
    [
        heartbeat,
        send_webhook,
        queue_cleanup,
        queue_insights,
        clean_stale_data,
        file_cleanup,
        file_placeholder_image,
        file_transform_image,
        clean_dead_archives,
        session_cleanup,
        session_leaked,
        verify_profile,
        clean_unverified_users,
    ],
    lifespan=open_resources,
)
