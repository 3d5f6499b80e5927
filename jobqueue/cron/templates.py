"""Templates: what the scheduler of a row should be, and the job of a trigger. Pure functions."""

from __future__ import annotations

from typing import Any

from jobqueue import encoding, wire
from jobqueue.cron.schedulers import Template
from jobqueue.cron.table import CronJob
from jobqueue.handler import Handler
from jobqueue.job import Envelope, exponential
from jobqueue.packing import Entries, pack_entries


def template_of(row: CronJob, handler: Handler[Any]) -> Template:
    """The scheduler of a row whose fields are in order; retention comes from the handler's policy."""
    envelope = Envelope(
        None,
        type="cron",
        id=row.id,
        overlap=None if row.overlap == "allow" else row.overlap,
        misfire=None if row.misfire == "run_once" else row.misfire,
    )
    data = wire.encode_data(encoding.encode_json(row.payload), envelope)
    return Template(row.job_id, row.id, row.handler, row.pattern, row.timezone, data, _options(row, handler))


def _options(row: CronJob, handler: Handler[Any]) -> Entries:
    options = wire.encode_options(handler.policy, attempts=row.max_attempts, backoff=exponential(row.backoff_ms))
    if not row.priority:
        return options
    priority = pack_entries({"priority": row.priority})
    return Entries(options.size + priority.size, options.packed + priority.packed)
