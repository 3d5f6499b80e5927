"""What docs/webhooks.md takes for granted: a worker that may deliver, and a subscription (removed since)."""

from __future__ import annotations

from handlers import registry as registry
from jobqueue.database import new_id

subscription_id = new_id()
