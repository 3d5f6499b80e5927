"""On demand: a service serves a variant, or has it made once."""

from __future__ import annotations

from contextlib import suppress

from handlers.file_transform_image import FileTransformImage, file_transform_image
from handlers.files.options import ImageOptions
from handlers.files.variants import find_variant
from handlers.models import File
from jobqueue import App, DuplicateJob
from jobqueue.database import Database


async def variant(app: App, database: Database, file_id: str, options: ImageOptions) -> File | None:
    """The variant; None where it has yet to be made, and then a job that makes it is on its way.

    Concurrency: of any number of requests, in any number of processes, one enqueues; one that asks in the moment in
    which the job ends may add another, which finds the variant. An image that cannot be used is tried again by the next
    request. Raises: DatabaseUnavailable; what `App.enqueue_job` raises.
    """
    async with database.transaction() as session:
        made = await find_variant(session, file_id, options)
    if made is None:
        with suppress(DuplicateJob):  # it is on its way
            await app.enqueue_job(file_transform_image, FileTransformImage(file_id=file_id, options=options))
    return made
