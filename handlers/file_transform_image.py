"""fileTransformImage: make a variant of an image: smaller, in another format.

The pattern it shows: superseding by file and options, with duplicates rejected, and in a process of its own. Two jobs
of a lane would make the same image, so the older one stays: requests that come faster than an image is made would
otherwise stop one another for ever. A decoder works on a stranger's bytes for seconds: in a process it holds up no
other job, its crash is a failed try, and it can be killed when its time is over. No thread can.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from handlers.files.errors import BadImage, MissingExtra, ObjectMissing, ObjectTooLarge
from handlers.files.imaging import load_imaging
from handlers.files.options import ImageOptions
from handlers.files.store import FileStore, open_store
from handlers.files.variants import add_variant, find_variant
from handlers.models import MAX_ID, File
from jobqueue import Discard, JobContext, Settings, make_superseding_job
from jobqueue.database import Database, open_database

_CAMEL = ConfigDict(
    frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
)


class FileTransformImage(BaseModel):
    """The payload of `fileTransformImage`: the image, and how its variant is made."""

    model_config = _CAMEL

    file_id: Annotated[str, Field(min_length=1, max_length=MAX_ID, pattern=r"^[A-Za-z0-9_-]+$")]
    options: ImageOptions = ImageOptions()


class VariantMade(BaseModel):
    """The variant's id, and whether this job has made it."""

    model_config = _CAMEL

    file_id: str
    created: bool


def _lane(payload: FileTransformImage) -> str:
    return f"{payload.file_id}:{payload.options.variant}"


@make_superseding_job(
    name="fileTransformImage",
    dedupe_key=_lane,
    duplicates="reject",
    run_in="process",
    timeout_ms=60_000,
    unrecoverable=(MissingExtra,),
)
async def file_transform_image(ctx: JobContext, payload: FileTransformImage) -> VariantMade:
    """A process has no resources of the worker's: it opens the database and the store that the environment names.

    Raises: Discard where there is no such image; StoreError, DatabaseUnavailable (tried again).
    """
    settings = Settings.load()
    async with open_database(settings.database_url) as database, open_store(settings) as store:
        return await make_variant(database, store, payload.file_id, payload.options)


async def make_variant(database: Database, store: FileStore, file_id: str, options: ImageOptions) -> VariantMade:
    """Step by step; whatever step it dies at, the next try begins anew and there is one variant. Raises: as above."""
    async with database.transaction() as session:
        source = await session.get(File, file_id)
        made = await find_variant(session, file_id, options)
    if source is None:
        raise Discard(f"there is no file {file_id!r}")
    if made is not None:
        return VariantMade(file_id=made.id, created=False)
    try:
        data = load_imaging().transform(await store.read(source.key), options)
    except (BadImage, ObjectMissing, ObjectTooLarge) as error:
        raise Discard(f"file {file_id!r}: {error}") from error
    variant = await add_variant(database, store, source, options, data)
    if variant is None:
        raise Discard(f"file {file_id!r} was deleted meanwhile")
    return VariantMade(file_id=variant.file.id, created=variant.is_new)
