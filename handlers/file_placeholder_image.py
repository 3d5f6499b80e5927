"""filePlaceholderImage: a tiny copy of an image, on the file's row, to be shown until the image has been loaded.

The pattern it shows: work on input that may be anything. What will never succeed is given up with a reason
(`Discard`); what may succeed later is raised, and tried again. The library blocks, so it works in a thread; and no
transaction is open meanwhile.
"""

from __future__ import annotations

import asyncio
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from sqlalchemy import update

from handlers.files.errors import BadImage, MissingExtra, ObjectMissing, ObjectTooLarge
from handlers.files.imaging import load_imaging
from handlers.files.store import FileStore
from handlers.models import MAX_ID, File
from jobqueue import Discard, JobContext, make_job
from jobqueue.database import Database

_CAMEL = ConfigDict(
    frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
)


class FilePlaceholderImage(BaseModel):
    """The payload of `filePlaceholderImage`."""

    model_config = _CAMEL

    file_id: Annotated[str, Field(min_length=1, max_length=MAX_ID)]


class PlaceholderMade(BaseModel):
    """The data URI that is on the row now."""

    model_config = _CAMEL

    placeholder: str


@make_job(name="filePlaceholderImage", timeout_ms=60_000, unrecoverable=(MissingExtra,))
async def file_placeholder_image(ctx: JobContext, payload: FilePlaceholderImage) -> PlaceholderMade:
    """Twice does no harm.

    Raises: Discard where there is no such image; StoreError, DatabaseUnavailable (tried again).
    """
    database, store = ctx.resources[Database], ctx.resources[FileStore]
    async with database.transaction() as session:
        file = await session.get(File, payload.file_id)
    if file is None:
        raise Discard(f"there is no file {payload.file_id!r}")
    try:
        placeholder = await asyncio.to_thread(_placeholder_of, await store.read(file.key))
    except (BadImage, ObjectMissing, ObjectTooLarge) as error:
        raise Discard(f"file {payload.file_id!r}: {error}") from error
    async with database.transaction() as session:
        await session.execute(update(File).where(File.id == payload.file_id).values(placeholder=placeholder))
    return PlaceholderMade(placeholder=placeholder)


def _placeholder_of(data: bytes) -> str:
    return load_imaging().placeholder_of(data)
