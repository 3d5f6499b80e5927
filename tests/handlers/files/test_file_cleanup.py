"""fileCleanup: objects against their table; every doubt keeps the object."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import text

from handlers.file_cleanup import FilesCleaned, file_cleanup
from handlers.files.folder import Folder
from handlers.files.store import FileStore
from handlers.models import File
from jobqueue import DatabaseUnavailable, Discard
from jobqueue.clock import told_by, wall_ms
from jobqueue.context import AbortReason, JobContext, Resources
from jobqueue.database import Database
from jobqueue.errors import JobCancelled
from tests.handlers.files.support import Guarded, add_file, keys_in, make_old
from tests.handlers.support.contexts import new_context, new_job


async def clean(database: Database, store: FileStore, *, dry_run: bool = False) -> FilesCleaned:
    return await clean_in(new_context(new_job(), Resources(database, store)), dry_run=dry_run)


async def clean_in(context: JobContext, *, dry_run: bool = False) -> FilesCleaned:
    cleaned: FilesCleaned = await file_cleanup.function(context, file_cleanup.validate({"dryRun": dry_run}))
    return cleaned


async def add_orphan(store: FileStore, folder: Path, key: str) -> None:
    await store.write(key, b"12345", "text/plain")
    make_old(folder, key)


async def test_what_no_row_tells_of_goes_and_the_others_stay(
    database: Database, folder: FileStore, files_folder: Path
) -> None:
    file = await add_file(database, folder, b"data")
    make_old(files_folder, file.key)
    await add_orphan(folder, files_folder, "uploads/orphan")
    await add_orphan(folder, files_folder, "uploads/.what-a-crash-left.part")

    cleaned = await clean(database, folder)

    assert await keys_in(folder) == {file.key}
    assert cleaned == FilesCleaned(looked_at=3, orphans=2, orphan_bytes=10, deleted=2, failed=0)


async def test_the_object_of_a_row_that_was_deleted_goes(
    sqlite_database: Database, folder: FileStore, files_folder: Path
) -> None:
    kept, deleted = [await add_file(sqlite_database, folder, b"data") for _ in range(2)]
    for file in (kept, deleted):
        make_old(files_folder, file.key)
    async with sqlite_database.transaction() as session:
        await session.delete(await session.get_one(File, deleted.id))

    assert (await clean(sqlite_database, folder)).deleted == 1

    assert await keys_in(folder) == {kept.key}


async def test_an_upload_whose_row_is_not_committed_yet_stays(
    database: Database, folder: FileStore, files_folder: Path
) -> None:
    await add_file(database, folder, b"data")
    await folder.write("uploads/just-now", b"", "text/plain")
    await folder.write("uploads/almost-an-hour-ago", b"", "text/plain")
    make_old(files_folder, "uploads/almost-an-hour-ago", hours=0.98)

    cleaned = await clean(database, folder)

    assert (cleaned.looked_at, cleaned.orphans, len(await keys_in(folder))) == (3, 0, 3)


async def test_nothing_goes_where_the_table_cannot_be_read(
    database: Database, folder: FileStore, files_folder: Path
) -> None:
    await add_orphan(folder, files_folder, "orphan")
    async with database.transaction() as session:
        await session.execute(text("DROP TABLE service_file"))

    with pytest.raises(DatabaseUnavailable):
        await clean(database, folder)

    assert await keys_in(folder) == {"orphan"}


async def test_nothing_goes_where_the_table_is_empty_since_it_may_be_the_wrong_one(
    database: Database, folder: FileStore, files_folder: Path
) -> None:
    """A new database beside the old store would have taken every file for an orphan."""
    await add_orphan(folder, files_folder, "every/file")

    with pytest.raises(Discard, match="one of them is the wrong one"):
        await clean(database, folder)

    assert await keys_in(folder) == {"every/file"}


async def test_a_dry_run_counts_and_deletes_nothing(
    sqlite_database: Database, folder: FileStore, files_folder: Path
) -> None:
    await add_file(sqlite_database, folder, b"data")
    await add_orphan(folder, files_folder, "orphan")

    cleaned = await clean(sqlite_database, folder, dry_run=True)

    assert (cleaned.orphans, cleaned.deleted, len(await keys_in(folder))) == (1, 0, 2)


async def test_an_orphan_that_cannot_be_deleted_is_counted_and_the_others_go(
    sqlite_database: Database, folder: FileStore, files_folder: Path
) -> None:
    file = await add_file(sqlite_database, folder, b"data")
    for key in ("guarded/orphan", "orphan"):
        await add_orphan(folder, files_folder, key)

    cleaned = await clean(sqlite_database, FileStore(Guarded(files_folder)))

    assert (cleaned.orphans, cleaned.deleted, cleaned.failed) == (2, 1, 1)
    assert await keys_in(folder) == {file.key, "guarded/orphan"}


async def test_in_a_bucket_orphans_go_too(sqlite_database: Database, bucket: FileStore) -> None:
    file = await add_file(sqlite_database, bucket, b"data")
    await bucket.write("uploads/orphan", b"", "text/plain")
    assert (await clean(sqlite_database, bucket)).orphans == 0

    with told_by(two_hours_later):
        assert (await clean(sqlite_database, bucket)).deleted == 1

    assert await keys_in(bucket) == {file.key}


def two_hours_later() -> int:
    return wall_ms() + 2 * 60 * 60 * 1000


async def test_a_store_is_cleaned_page_by_page_and_can_be_stopped_between_two(
    sqlite_database: Database, folder: FileStore, files_folder: Path
) -> None:
    file = await add_file(sqlite_database, folder, b"data")
    for number in range(5):
        await add_orphan(folder, files_folder, f"many/{number}")
    in_pages_of_two = FileStore(Folder(files_folder, page=2))
    resources = Resources(sqlite_database, in_pages_of_two)
    context = new_context(new_job(), resources, on_progress=lambda _value: cancel(context))

    with pytest.raises(JobCancelled):
        await clean_in(context)
    assert len(await keys_in(folder)) in (4, 5)  # the file itself may be on the first page
    await clean(sqlite_database, in_pages_of_two)

    assert await keys_in(folder) == {file.key}


def cancel(context: JobContext) -> None:
    context.signal.abort(AbortReason("cancelled", "no longer wanted"))


async def test_where_no_store_is_set_there_is_nothing_to_do(sqlite_database: Database) -> None:
    """The cron job is seeded in every service, also in one that has no files."""
    assert await clean(sqlite_database, FileStore(None)) == FilesCleaned()
