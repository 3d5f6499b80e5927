"""fileTransformImage: one variant for a file and its options, whoever makes it, however often, and wherever it dies."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import get_args

import pytest

from handlers.file_cleanup import file_cleanup
from handlers.file_placeholder_image import FilePlaceholderImage, file_placeholder_image
from handlers.file_transform_image import file_transform_image, make_variant
from handlers.files.on_demand import variant
from handlers.files.options import ImageOptions
from handlers.files.store import FileStore, open_store
from handlers.models import Archive, File
from jobqueue import App, Discard, JobFailed, Registry, Resources, Settings, Worker
from jobqueue.database import Database, open_database
from jobqueue.errors import InvalidPayload
from tests.conftest import MakeSettings
from tests.handlers.files.dying import Step, die_making
from tests.handlers.files.support import (
    add_archive,
    add_file,
    an_image,
    decoded,
    encoded,
    keys_in,
    make_old,
    rows,
    variants_of,
)
from tests.handlers.support.contexts import new_context, new_job

WAIT_S = 40.0
SMALL = ImageOptions(width=20, format="jpeg")

# One variant


async def test_a_variant_is_an_object_and_a_row(database: Database, store: FileStore) -> None:
    archive_id = await add_archive(database)
    file = await add_file(database, store, encoded(an_image()), name="my cat.png", archive_id=archive_id)

    made = await make_variant(database, store, file.id, SMALL)

    (row,) = await variants_of(database, file)
    data = await store.read(row.key)
    assert (made.file_id, made.created) == (row.id, True)
    assert decoded(data).size == (20, 10)
    assert (row.name, row.content_type, row.size_bytes) == ("my cat.jpg", "image/jpeg", len(data))
    assert (row.variant, row.archive_id) == ("20x.jpeg.q80", archive_id)


async def test_a_variant_that_is_there_is_not_made_again(sqlite_database: Database, folder: FileStore) -> None:
    file = await add_file(sqlite_database, folder, encoded(an_image()))
    first = await make_variant(sqlite_database, folder, file.id, SMALL)

    second = await make_variant(sqlite_database, folder, file.id, SMALL)
    other = await make_variant(sqlite_database, folder, file.id, ImageOptions(width=10))

    assert (second.file_id, second.created) == (first.file_id, False)
    assert other.file_id != first.file_id
    assert await rows(sqlite_database) == len(await keys_in(folder)) == 3


async def test_of_two_who_make_it_at_once_one_is_kept(database: Database, folder: FileStore) -> None:
    file = await add_file(database, folder, encoded(an_image()))

    made = await asyncio.gather(*(make_variant(database, folder, file.id, SMALL) for _ in range(4)))

    (row,) = await variants_of(database, file)
    assert {one.file_id for one in made} == {row.id}
    assert [one.created for one in made].count(True) == 1
    assert await keys_in(folder) == {file.key, row.key}


async def test_what_can_never_become_an_image_is_given_up(sqlite_database: Database, folder: FileStore) -> None:
    whole = encoded(an_image(), "JPEG")
    cut_off = await add_file(sqlite_database, folder, whole[: len(whole) // 2])
    lost = await add_file(sqlite_database, folder, b"")
    await folder.delete(lost.key)

    for file_id, why in (
        (cut_off.id, "cannot be decoded"),
        (lost.id, "is not in the store"),
        ("none", "there is no file"),
    ):
        with pytest.raises(Discard, match=why):
            await make_variant(sqlite_database, folder, file_id, SMALL)

    assert await rows(sqlite_database) == 2


async def test_a_file_that_is_deleted_meanwhile_leaves_no_object(database: Database, folder: FileStore) -> None:
    archive_id = await add_archive(database)
    file = await add_file(database, folder, encoded(an_image()), archive_id=archive_id)

    class Slow:
        """The folder, while whose write the archive is deleted."""

        pages, read, delete = folder.pages, folder.read, folder.delete

        async def write(self, key: str, data: bytes, content_type: str) -> None:
            await folder.write(key, data, content_type)
            async with database.transaction() as session:
                await session.delete(await session.get_one(Archive, archive_id))

    with pytest.raises(Discard, match="was deleted meanwhile"):
        await make_variant(database, FileStore(Slow()), file.id, SMALL)

    assert await keys_in(folder) == {file.key}


@pytest.mark.parametrize("last", get_args(Step))
async def test_a_maker_that_is_killed_leaves_no_lost_row_and_the_next_one_no_duplicate(
    sqlite_database: Database, sqlite_url: str, folder: FileStore, files_folder: Path, last: Step
) -> None:
    file = await add_file(sqlite_database, folder, encoded(an_image()))

    # when
    ended = await asyncio.to_thread(die_making, sqlite_url, files_folder, file.id, SMALL, last)
    left_behind = [row.key for row in await variants_of(sqlite_database, file)]
    made = await make_variant(sqlite_database, folder, file.id, SMALL)

    # then
    assert ended == -signal.SIGKILL
    assert set(left_behind) <= await keys_in(folder)
    (row,) = await variants_of(sqlite_database, file)
    assert (made.file_id, made.created) == (row.id, last != "the commit")
    for key in await keys_in(folder):
        make_old(files_folder, key)
    context = new_context(new_job(), Resources(sqlite_database, folder))
    await file_cleanup.function(context, file_cleanup.validate({}))
    assert await keys_in(folder) == {file.key, row.key}


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"fileId": "x" * 37}, "fileId"),
        ({"fileId": "a}b"}, "fileId"),
        ({"fileId": "1", "options": {"width": 0}}, "options.width"),
        ({"fileId": "1", "options": {"height": 100_000}}, "options.height"),
        ({"fileId": "1", "options": {"format": "gif"}}, "options.format"),
        ({"fileId": "1", "options": {"quality": 101}}, "options.quality"),
        ({"fileId": "1", "options": {"upscale": True}}, "options.upscale"),
    ],
)
def test_options_that_make_no_sense_are_refused_before_they_are_enqueued(
    payload: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidPayload) as refusal:
        file_transform_image.validate(payload)

    assert list(refusal.value.field_errors) == [f"payload.{field}"]


# On demand, and by a worker


@asynccontextmanager
async def resources(settings: Settings) -> AsyncGenerator[Resources]:
    async with open_database(settings.database_url) as database, open_store(settings) as store:
        yield Resources(database, store)


@pytest.fixture
async def app(
    settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, sqlite_url: str, files_folder: Path
) -> AsyncGenerator[App]:
    """An app without a worker. Processes know its database and its store from the environment."""
    places = {"database_url": sqlite_url, "files_url": files_folder.as_uri()}
    own = settings(**places)
    for name, value in places.items():
        monkeypatch.setenv(name.upper(), value)
    async with App(Registry([file_transform_image, file_placeholder_image], lifespan=resources), own) as opened:
        yield opened


async def test_a_variant_is_enqueued_once_on_a_miss_and_served_when_it_is_made(
    app: App, sqlite_database: Database, folder: FileStore
) -> None:
    # given: many requests at once
    file = await add_file(sqlite_database, folder, encoded(an_image()))
    assert await asyncio.gather(*(variant(app, sqlite_database, file.id, SMALL) for _ in range(5))) == [None] * 5
    assert await app.client.call("LLEN", app.queue().keys.of("wait")) == 1

    # when
    async with Worker(app):
        served = await until_served(app, sqlite_database, file.id)

    # then
    assert decoded(await folder.read(served.key)).size == (20, 10)
    assert [row.id for row in await variants_of(sqlite_database, file)] == [served.id]


async def until_served(app: App, database: Database, file_id: str) -> File:
    async with asyncio.timeout(WAIT_S):
        while True:
            served = await variant(app, database, file_id, SMALL)
            if served is not None:
                return served
            await asyncio.sleep(0.05)  # a browser that asks again


async def test_a_worker_makes_a_placeholder_and_gives_up_what_is_no_image(
    app: App, sqlite_database: Database, folder: FileStore
) -> None:
    file = await add_file(sqlite_database, folder, encoded(an_image()))
    text = await add_file(sqlite_database, folder, b"%PDF-1.7")

    async with Worker(app):
        made = await app.enqueue_job(file_placeholder_image, FilePlaceholderImage(file_id=file.id))
        refused = await app.enqueue_job(file_placeholder_image, FilePlaceholderImage(file_id=text.id))
        assert (await made.wait(WAIT_S))["placeholder"].startswith("data:image/jpeg;base64,")
        with pytest.raises(JobFailed, match="is no JPEG, PNG, GIF or WebP image"):
            await refused.wait(WAIT_S)

    assert (await app.queue().job(refused.job_id)).attempts_made == 1
