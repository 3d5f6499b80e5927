"""cleanDeadArchives: delete the archives that nobody hosts any more, and then their files.

The pattern it shows: what cannot be undone comes last. Whether an archive is dead is decided by the statement that
deletes its record; only when that is committed do its objects go. One archive that fails does not stop the others,
and an object that stays behind is an orphan, which `fileCleanup` deletes.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy import ColumnElement, and_, delete, exists, or_, select
from sqlalchemy.exc import DBAPIError

from handlers.files.deleting import delete_all
from handlers.files.store import FileStore
from handlers.models import Archive, ArchiveUser, File
from jobqueue import JobContext, make_singleton_job
from jobqueue.clock import now_ms
from jobqueue.database import Database

TIME_TO_JOIN: Final = timedelta(hours=1)
"""How old an archive is before it may be dead: who makes one has yet to join it."""
BATCH: Final = 100
MOST_OBJECTS: Final = 10_000
"""Of one archive, so that memory is bounded; what is left is deleted by `fileCleanup`."""
MOST_REASONS: Final = 100

_log = logging.getLogger(__name__)


class ArchivesCleaned(BaseModel):
    """How many archives and objects were deleted, how many of each could not be, and why (the first hundred)."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True)

    deleted: int
    deleted_objects: int
    failed: int
    failed_objects: int
    reasons: tuple[str, ...]


@dataclass(slots=True)
class _Tally:
    deleted: int = 0
    deleted_objects: int = 0
    failed: int = 0
    failed_objects: int = 0
    reasons: tuple[str, ...] = ()

    def note(self, reason: str) -> None:
        _log.warning("%s", reason)
        self.reasons = (*self.reasons, reason)[:MOST_REASONS]


@make_singleton_job(name="cleanDeadArchives", seeded_cron="0 0 0 * * *")
async def clean_dead_archives(ctx: JobContext) -> ArchivesCleaned:
    """With an archive's record go its files' and their variants'. Raises: DatabaseUnavailable (tried again)."""
    database, store = ctx.resources[Database], ctx.resources[FileStore]
    is_dead = _is_dead(datetime.fromtimestamp(now_ms() / 1000, UTC) - TIME_TO_JOIN)
    tally, last = _Tally(), ""
    while archives := await _next_dead(database, is_dead, last):
        for last in archives:
            ctx.raise_if_cancelled()
            await _clean(database, store, last, is_dead, tally)
        ctx.progress({"deleted": tally.deleted, "failed": tally.failed})
    return ArchivesCleaned(
        deleted=tally.deleted,
        deleted_objects=tally.deleted_objects,
        failed=tally.failed,
        failed_objects=tally.failed_objects,
        reasons=tally.reasons,
    )


def _is_dead(before: datetime) -> ColumnElement[bool]:
    return and_(Archive.created_at < before, ~exists().where(ArchiveUser.archive_id == Archive.id))


async def _next_dead(database: Database, is_dead: ColumnElement[bool], after: str) -> list[str]:
    async with database.transaction() as session:
        found = select(Archive.id).where(is_dead, Archive.id > after).order_by(Archive.id).limit(BATCH)
        return list(await session.scalars(found))


async def _clean(
    database: Database, store: FileStore, archive_id: str, is_dead: ColumnElement[bool], tally: _Tally
) -> None:
    try:
        keys = await _delete_record(database, archive_id, is_dead)
    except DBAPIError as error:  # rows of the service's own may refer to it
        tally.failed += 1
        tally.note(f"archive {archive_id!r} stays: {str(error.orig).partition(chr(10))[0]}")
        return
    if keys is None:
        return
    failed = await delete_all(store, keys)
    tally.deleted += 1
    tally.deleted_objects += len(keys) - len(failed)
    tally.failed_objects += len(failed)
    for reason in failed.values():
        tally.note(f"of archive {archive_id!r} an object stays: {reason}")


async def _delete_record(database: Database, archive_id: str, is_dead: ColumnElement[bool]) -> list[str] | None:
    """The keys of its objects, by then without a row; None where it is not dead any more, or gone.

    On PostgreSQL the row is locked first. A delete that has waited for somebody who joins does not look again: it would
    take him along. So who joins is seen by the delete, or comes too late and is refused.
    """
    of_archive = select(File.id).where(File.archive_id == archive_id)
    its_files = or_(File.archive_id == archive_id, File.variant_of.in_(of_archive))
    async with database.transaction() as session:
        await session.execute(select(Archive.id).where(Archive.id == archive_id).with_for_update())
        keys = list(await session.scalars(select(File.key).where(its_files).limit(MOST_OBJECTS)))
        decided = await session.execute(delete(Archive).where(Archive.id == archive_id, is_dead).returning(Archive.id))
        return None if decided.first() is None else keys
