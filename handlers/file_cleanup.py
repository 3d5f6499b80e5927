"""fileCleanup: delete the objects of the store that no row tells of.

The pattern it shows: two systems that cannot be changed in one step, made equal afterwards. A singleton by night;
page by page, so that a store of any size takes little memory; and every doubt keeps the object: what is young may
belong to a row that is not committed yet, and where the table cannot be read nothing is an orphan.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from typing import Final

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from sqlalchemy import select

from handlers.files.deleting import delete_all
from handlers.files.store import FileStore
from handlers.files.stored import StoredObject
from handlers.models import File
from jobqueue import Discard, JobContext, make_singleton_job
from jobqueue.clock import now_ms
from jobqueue.database import Database

TIME_TO_COMMIT: Final = timedelta(hours=1)
"""How long an upload may take from its object to its row."""

_CAMEL = ConfigDict(
    frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
)
_log = logging.getLogger(__name__)


class FileCleanup(BaseModel):
    """The payload of `fileCleanup`. With `dry_run` it counts, and deletes nothing."""

    model_config = _CAMEL

    dry_run: bool = False


class FilesCleaned(BaseModel):
    """Objects that were looked at; of those the orphans; of those what was deleted, and what could not be."""

    model_config = _CAMEL

    looked_at: int = 0
    orphans: int = 0
    orphan_bytes: int = 0
    deleted: int = 0
    failed: int = 0

    def plus(self, looked_at: int, orphans: Sequence[StoredObject], deleted: int, failed: int) -> FilesCleaned:
        return FilesCleaned(
            looked_at=self.looked_at + looked_at,
            orphans=self.orphans + len(orphans),
            orphan_bytes=self.orphan_bytes + sum(one.size_bytes for one in orphans),
            deleted=self.deleted + deleted,
            failed=self.failed + failed,
        )


@make_singleton_job(name="fileCleanup", seeded_cron="0 2 * * *")
async def file_cleanup(ctx: JobContext, payload: FileCleanup) -> FilesCleaned:
    """What was deleted stays so where a later page fails. Without FILES_URL there is nothing to do.

    Raises: StoreError, DatabaseUnavailable (tried again); Discard where the table is empty but the store is not.
    """
    database, store = ctx.resources[Database], ctx.resources[FileStore]
    cleaned = FilesCleaned()
    if not store.is_set:
        _log.info("FILES_URL is not set, so there are no files to clean")
        return cleaned
    async with aclosing(store.pages()) as pages:
        async for page in pages:
            ctx.raise_if_cancelled()
            orphans = await _orphans_of(database, page)
            failed = {} if payload.dry_run else await delete_all(store, [one.key for one in orphans])
            deleted = 0 if payload.dry_run else len(orphans) - len(failed)
            cleaned = cleaned.plus(len(page), orphans, deleted, len(failed))
            ctx.progress(cleaned.model_dump(by_alias=True))
            for reason in failed.values():
                _log.warning("an orphan stays: %s", reason)
    _log.info("%d objects, %d orphans, %d deleted", cleaned.looked_at, cleaned.orphans, cleaned.deleted)
    return cleaned


async def _orphans_of(database: Database, page: Sequence[StoredObject]) -> list[StoredObject]:
    """Raises: Discard where no file has a row: rather is this another database than is every file an orphan."""
    before = datetime.fromtimestamp(now_ms() / 1000, UTC) - TIME_TO_COMMIT
    old = [one for one in page if one.written_at < before]
    if not old:
        return []
    async with database.transaction() as session:
        known = set(await session.scalars(select(File.key).where(File.key.in_([one.key for one in old]))))
        is_empty = not known and await session.scalar(select(File.id).limit(1)) is None
    if is_empty:
        raise Discard(
            "the table of files is empty and the store is not, so one of them is the wrong one; nothing deleted"
        )
    return [one for one in old if one.key not in known]
