"""filePlaceholderImage: from the object of a file to the data URI on its row."""

from __future__ import annotations

import sys

import pytest

from handlers.file_placeholder_image import PlaceholderMade, file_placeholder_image
from handlers.files.errors import MissingExtra, StoreError
from handlers.files.store import FileStore
from handlers.models import File
from jobqueue import Discard
from jobqueue.context import Resources
from jobqueue.database import Database
from tests.handlers.files.support import add_file, an_image, encoded
from tests.handlers.support.contexts import new_context, new_job


async def make_placeholder(database: Database, store: FileStore, file_id: str) -> PlaceholderMade:
    payload = file_placeholder_image.validate({"fileId": file_id})
    made: PlaceholderMade = await file_placeholder_image.function(
        new_context(new_job(), Resources(database, store)), payload
    )
    return made


async def placeholder_on_row(database: Database, file_id: str) -> str | None:
    async with database.transaction() as session:
        return (await session.get_one(File, file_id)).placeholder


async def test_a_placeholder_is_put_on_the_row(database: Database, folder: FileStore) -> None:
    file = await add_file(database, folder, encoded(an_image()))

    made = await make_placeholder(database, folder, file.id)
    again = await make_placeholder(database, folder, file.id)

    assert made.placeholder.startswith("data:image/jpeg;base64,")
    assert await placeholder_on_row(database, file.id) == made.placeholder == again.placeholder


async def test_a_placeholder_of_an_object_in_a_bucket(sqlite_database: Database, bucket: FileStore) -> None:
    file = await add_file(sqlite_database, bucket, encoded(an_image()))

    assert (await make_placeholder(sqlite_database, bucket, file.id)).placeholder


async def test_what_is_no_image_is_given_up_and_the_reason_names_the_file(
    sqlite_database: Database, folder: FileStore
) -> None:
    file = await add_file(sqlite_database, folder, b"%PDF-1.7", name="cat.png")

    with pytest.raises(Discard, match=f"file '{file.id}': is no JPEG, PNG, GIF or WebP image"):
        await make_placeholder(sqlite_database, folder, file.id)

    assert await placeholder_on_row(sqlite_database, file.id) is None


async def test_a_file_without_a_row_or_an_object_is_given_up(sqlite_database: Database, folder: FileStore) -> None:
    file = await add_file(sqlite_database, folder, b"")
    await folder.delete(file.key)

    with pytest.raises(Discard, match="there is no file 'none'"):
        await make_placeholder(sqlite_database, folder, "none")
    with pytest.raises(Discard, match="is not in the store"):
        await make_placeholder(sqlite_database, folder, file.id)


async def test_a_store_that_is_not_set_fails_the_try_and_not_the_job(
    sqlite_database: Database, folder: FileStore
) -> None:
    file = await add_file(sqlite_database, folder, encoded(an_image()))

    with pytest.raises(StoreError, match="FILES_URL must be"):
        await make_placeholder(sqlite_database, FileStore(None), file.id)


async def test_without_its_library_the_job_fails_at_once_and_names_the_extra(
    sqlite_database: Database, folder: FileStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = await add_file(sqlite_database, folder, encoded(an_image()))
    monkeypatch.delitem(sys.modules, "handlers.files.images", raising=False)
    monkeypatch.setitem(sys.modules, "PIL", None)

    with pytest.raises(MissingExtra, match=r"needs Pillow: pip install 'jobqueue\[images\]'") as missing:
        await make_placeholder(sqlite_database, folder, file.id)

    assert isinstance(missing.value, file_placeholder_image.policy.unrecoverable)
