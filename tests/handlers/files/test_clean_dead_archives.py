"""cleanDeadArchives: the record first, then its objects; who joins keeps his archive."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from sqlalchemy import select, text
from sqlalchemy.exc import IntegrityError

from handlers.clean_dead_archives import BATCH, ArchivesCleaned, clean_dead_archives
from handlers.file_cleanup import file_cleanup
from handlers.files.options import ImageOptions
from handlers.files.store import FileStore
from handlers.files.variants import add_variant
from handlers.models import Archive, ArchiveUser
from jobqueue import DatabaseUnavailable
from jobqueue.context import Resources
from jobqueue.database import Database
from tests.handlers.files.support import (
    Guarded,
    add_archive,
    add_file,
    add_user,
    archives,
    join,
    keys_in,
    make_old,
    rows,
)
from tests.handlers.support.contexts import new_context, new_job


async def clean(database: Database, store: FileStore) -> ArchivesCleaned:
    cleaned: ArchivesCleaned = await clean_dead_archives.function(new_context(new_job(), Resources(database, store)))
    return cleaned


async def test_an_archive_without_users_goes_with_its_files_and_the_others_stay(
    database: Database, folder: FileStore, files_folder: Path
) -> None:
    dead, hosted = await add_archive(database), await add_archive(database, users=2)
    file = await add_file(database, folder, b"1", archive_id=dead)
    await add_variant(database, folder, file, ImageOptions(), b"2")
    kept = await add_file(database, folder, b"3", archive_id=hosted)
    loose = await add_file(database, folder, b"4")

    cleaned = await clean(database, folder)

    assert cleaned == ArchivesCleaned(deleted=1, deleted_objects=2, failed=0, failed_objects=0, reasons=())
    assert await archives(database) == {hosted}
    assert (await keys_in(folder), await rows(database)) == ({kept.key, loose.key}, 2)
    assert len(list((files_folder / "uploads").iterdir())) == 2


async def test_an_archive_that_was_just_made_stays(database: Database, folder: FileStore) -> None:
    young = await add_archive(database, age_hours=0.98)

    assert (await clean(database, folder)).deleted == 0

    assert await archives(database) == {young}


async def test_in_a_bucket_the_objects_go_too(sqlite_database: Database, bucket: FileStore) -> None:
    await add_file(sqlite_database, bucket, b"1", archive_id=await add_archive(sqlite_database))

    await clean(sqlite_database, bucket)

    assert await keys_in(bucket) == set()


async def test_more_archives_than_a_batch_all_go(sqlite_database: Database, folder: FileStore) -> None:
    for _ in range(BATCH + 1):
        await add_archive(sqlite_database)

    assert (await clean(sqlite_database, folder)).deleted == BATCH + 1


async def test_an_archive_that_others_refer_to_stays_and_the_rest_go(database: Database, folder: FileStore) -> None:
    held, free = await add_archive(database), await add_archive(database)
    file = await add_file(database, folder, b"1", archive_id=held)
    await add_file(database, folder, b"2", archive_id=free)
    async with database.transaction() as session:
        await session.execute(text("CREATE TABLE invoice (archive VARCHAR(36) REFERENCES service_archive (id))"))
        await session.execute(text("INSERT INTO invoice VALUES (:id)"), {"id": held})

    cleaned = await clean(database, folder)

    assert (cleaned.deleted, cleaned.failed) == (1, 1)
    assert cleaned.reasons[0].startswith(f"archive '{held}' stays: ")
    assert await archives(database) == {held}
    assert await keys_in(folder) == {file.key}


async def test_an_object_that_cannot_be_deleted_is_reported_and_goes_with_the_next_file_cleanup(
    sqlite_database: Database, folder: FileStore, files_folder: Path
) -> None:
    first, second = await add_archive(sqlite_database), await add_archive(sqlite_database)
    await add_file(sqlite_database, folder, b"1", archive_id=second)
    kept = await add_file(sqlite_database, folder, b"2")
    stubborn = await add_file(sqlite_database, folder, b"3", archive_id=first)
    async with sqlite_database.transaction() as session:
        await session.execute(text("UPDATE service_file SET key = 'guarded/1' WHERE id = :id"), {"id": stubborn.id})
    await folder.write("guarded/1", b"3", "image/png")
    await folder.delete(stubborn.key)

    cleaned = await clean(sqlite_database, FileStore(Guarded(files_folder)))

    assert (cleaned.deleted, cleaned.deleted_objects, cleaned.failed_objects) == (2, 1, 1)
    assert cleaned.reasons == (f"of archive '{first}' an object stays: 'guarded/1' may not be deleted",)
    make_old(files_folder, "guarded/1")
    await file_cleanup.function(new_context(new_job(), Resources(sqlite_database, folder)), file_cleanup.validate({}))
    assert await keys_in(folder) == {kept.key}


async def test_a_database_that_is_away_fails_the_try(sqlite_database: Database, folder: FileStore) -> None:
    async with sqlite_database.transaction() as session:
        await session.execute(text("DROP TABLE service_archive_user"))

    with pytest.raises(DatabaseUnavailable):
        await clean(sqlite_database, folder)


async def test_who_joins_before_the_record_is_deleted_keeps_it(
    sqlite_database: Database, folder: FileStore, files_folder: Path
) -> None:
    """The archive was dead when it was looked for; another one's objects are deleted, and meanwhile somebody joins."""
    first, second = sorted([await add_archive(sqlite_database), await add_archive(sqlite_database)])
    await add_file(sqlite_database, folder, b"1", archive_id=first)
    kept = await add_file(sqlite_database, folder, b"2", archive_id=second)

    class Joining(Guarded):
        async def delete(self, key: str) -> None:
            await join(sqlite_database, second)
            await super().delete(key)

    cleaned = await clean(sqlite_database, FileStore(Joining(files_folder)))

    assert cleaned.deleted == 1
    assert await archives(sqlite_database) == {second}
    assert await keys_in(folder) == {kept.key}


async def test_who_is_about_to_join_is_waited_for_and_keeps_it(postgres_database: Database, folder: FileStore) -> None:
    """PostgreSQL does not look at a row again that was only locked meanwhile: the delete took the new user along."""
    archive, user = await add_archive(postgres_database), await add_user(postgres_database)
    async with postgres_database.transaction() as joining:
        joining.add(ArchiveUser(archive_id=archive, user_id=user))
        await joining.flush()
        cleaning = asyncio.create_task(clean(postgres_database, folder))
        await until_somebody_waits_for_a_lock(postgres_database)

    cleaned = await cleaning

    assert cleaned.deleted == 0
    async with postgres_database.transaction() as session:
        assert (await session.scalars(select(ArchiveUser.user_id))).all() == [user]


async def until_somebody_waits_for_a_lock(database: Database) -> None:
    waiting = "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()"
    async with asyncio.timeout(20):
        while True:
            async with database.transaction() as session:
                if await session.scalar(text(waiting)):
                    return
            await asyncio.sleep(0.01)  # the database tells nobody when a statement begins to wait


async def test_who_joins_too_late_is_refused(database: Database, folder: FileStore) -> None:
    archive, user = await add_archive(database), await add_user(database)
    await clean(database, folder)

    with pytest.raises(IntegrityError):
        async with database.transaction() as session:
            session.add(ArchiveUser(archive_id=archive, user_id=user))

    async with database.transaction() as session:
        assert (await session.scalars(select(Archive))).all() == []
