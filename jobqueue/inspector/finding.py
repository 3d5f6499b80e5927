"""Finding: the jobs of one id, whatever queue they are in."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from jobqueue.app import App
from jobqueue.inspector.kinship import Place, kin_of
from jobqueue.inspector.views import FoundJobs
from jobqueue.job import MAX_ID_LENGTH
from jobqueue.keys import QueueKeys
from jobqueue.scripts import own

MAX_FOUND: Final = 50
"""Jobs of one id that are listed."""


async def find_job(app: App, queues: Sequence[str], job_id: str) -> FoundJobs:
    """Those that exist, in the order of the queues. A text that no id can be finds nothing."""
    if not job_id or len(job_id) > 4 * MAX_ID_LENGTH or not _is_unicode(job_id) or not queues:
        return FoundJobs((), 0)
    prefix = app.settings.jobs_prefix
    keys = [QueueKeys(prefix, queue).job(job_id) for queue in queues]
    stamps: list[str | None] = await app.client.run(own("fieldOfEach"), keys, ["timestamp"])
    places = [Place(queue, job_id) for queue, stamp in zip(queues, stamps, strict=True) if stamp is not None]
    jobs = await kin_of(app.client, prefix, places[:MAX_FOUND])
    return FoundJobs(jobs, max(len(places) - MAX_FOUND, 0))


def _is_unicode(text: str) -> bool:
    """False where half of a surrogate pair is in it, which cannot be sent."""
    return text.isascii() or not any("\ud800" <= letter <= "\udfff" for letter in text)
