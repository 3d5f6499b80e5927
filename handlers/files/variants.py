"""Variants: files made from another one; at most one for a file and its options, whoever makes it and however often.

The object comes first and the row second: a row is what is served, so it must not be there before its object. The row
is unique for file and options, so of two makers one finds that the other was there. The object has a key that was
never used before; one that nobody's row tells of is an orphan, which `fileCleanup` deletes.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import PurePosixPath
from typing import Final, NamedTuple

from sqlalchemy import select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from handlers.files.keys import new_key
from handlers.files.options import ImageOptions
from handlers.files.store import FileStore
from handlers.models import MAX_TEXT, File
from jobqueue.clock import now_ms
from jobqueue.database import Database, new_id

FOLDER: Final = "variants"
_LONGEST_SUFFIX: Final = 10


class Variant(NamedTuple):
    """The file, and whether its row is the one that this maker added."""

    file: File
    is_new: bool


async def find_variant(session: AsyncSession, file_id: str, options: ImageOptions) -> File | None:
    """The variant, where it has been made."""
    made = select(File).where(File.variant_of == file_id, File.variant == options.variant)
    return (await session.scalars(made)).one_or_none()


async def add_variant(
    database: Database, store: FileStore, source: File, options: ImageOptions, data: bytes
) -> Variant | None:
    """Write the object, then its row; returns the variant that is there then, None where its source is gone.

    Concurrency: idempotent, also where it is killed between any two of its steps. Raises: StoreError;
    DatabaseUnavailable.
    """
    made = _row(source, options, len(data))
    await store.write(made.key, data, options.content_type)
    try:
        async with database.transaction() as session:
            session.add(made)
        return Variant(made, is_new=True)
    except IntegrityError:  # another has made it meanwhile, or the source was deleted
        await store.delete(made.key)
    async with database.transaction() as session:
        others = await find_variant(session, source.id, options)
    return None if others is None else Variant(others, is_new=False)


def _row(source: File, options: ImageOptions, size_bytes: int) -> File:
    stem = PurePosixPath(source.name).stem[: MAX_TEXT - _LONGEST_SUFFIX]
    return File(
        id=new_id(),
        key=new_key(f"{FOLDER}/{source.id}", options.suffix),
        name=f"{stem}{options.suffix}",
        content_type=options.content_type,
        size_bytes=size_bytes,
        placeholder=None,
        archive_id=source.archive_id,
        variant_of=source.id,
        variant=options.variant,
        created_at=datetime.fromtimestamp(now_ms() / 1000, UTC),
    )
