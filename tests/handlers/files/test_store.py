"""The store: a folder and a bucket do the same, and no key leads out of either."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from handlers.files.deleting import delete_all
from handlers.files.errors import InvalidKey, ObjectMissing, ObjectTooLarge, StoreError
from handlers.files.folder import Folder
from handlers.files.store import FileStore, open_store
from jobqueue import SettingsError
from tests.conftest import MakeSettings
from tests.handlers.files.conftest import SECRET_ACCESS_KEY, put
from tests.handlers.files.support import keys_in, sizes_in

# Both


async def test_what_is_written_is_read_and_the_last_one_counts(store: FileStore) -> None:
    await store.write("a/ü b%c.png", b"first", "image/png")
    await store.write("a/ü b%c.png", b"second", "image/png")

    assert await store.read("a/ü b%c.png") == b"second"


async def test_all_objects_are_listed_with_their_size_and_time(store: FileStore) -> None:
    for key in ("one", "folder/two", "folder/deeper/three"):
        await store.write(key, key.encode(), "text/plain")

    async with aclosing(store.pages()) as pages:
        found = {one.key: one async for page in pages for one in page}

    assert {key: one.size_bytes for key, one in found.items()} == {
        "one": 3,
        "folder/two": 10,
        "folder/deeper/three": 19,
    }
    assert all(abs(datetime.now(UTC) - one.written_at) < timedelta(minutes=1) for one in found.values())


async def test_a_store_that_nothing_was_written_to_is_empty(store: FileStore) -> None:
    assert await keys_in(store) == set()


async def test_deleting_what_is_not_there_is_no_error(store: FileStore) -> None:
    await store.write("one", b"1", "text/plain")

    await store.delete("one")
    await store.delete("one")
    await store.delete("no/such/folder")

    assert await keys_in(store) == set()


async def test_reading_what_is_not_there_says_so(store: FileStore) -> None:
    with pytest.raises(ObjectMissing, match="'gone/one' is not in the store"):
        await store.read("gone/one")


async def test_an_object_that_is_too_large_is_not_read(store: FileStore) -> None:
    await store.write("one", b"12345", "text/plain")

    with pytest.raises(ObjectTooLarge, match="'one' has 5 bytes, the limit is 4"):
        await store.read("one", most_bytes=4)

    assert await store.read("one", most_bytes=5) == b"12345"


BAD_KEYS = [
    "",
    "/etc/passwd",
    "../up",
    "a/../../up",
    "a/..",
    "./a",
    "a//b",
    "a/",
    "a\0b",
    "a\\b",
    "a\nb",
    "\udc80",
    "x" * 513,
]


async def test_no_key_leads_out_of_the_store(store: FileStore) -> None:
    for key in [*BAD_KEYS, "ü" * 200]:
        with pytest.raises(InvalidKey):
            await store.read(key)
        with pytest.raises(InvalidKey):
            await store.write(key, b"", "text/plain")
        with pytest.raises(InvalidKey):
            await store.delete(key)


async def test_of_many_objects_one_that_cannot_be_deleted_does_not_keep_the_others(folder: FileStore) -> None:
    keys = [f"many/{number}" for number in range(25)]
    for key in [*keys, "folder/inside"]:
        await folder.write(key, b"", "text/plain")

    failed = await delete_all(folder, ["folder", *keys])

    assert failed.keys() == {"folder"}
    assert await keys_in(folder) == {"folder/inside"}


# A folder


async def test_a_link_out_of_the_folder_is_not_followed(folder: FileStore, files_folder: Path, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_bytes(b"secret")
    files_folder.mkdir()
    (files_folder / "way").symlink_to(outside)
    (files_folder / "link").symlink_to(outside / "secret")

    for key in ("way/secret", "link"):
        with pytest.raises(StoreError):
            await folder.read(key)
    for act in (folder.write("way/new", b"", "text/plain"), folder.delete("way/secret")):
        with pytest.raises(StoreError, match="leads out of"):
            await act
    await folder.write("link", b"new", "text/plain")

    assert await keys_in(folder) == {"link"}
    assert [path.name for path in outside.iterdir()] == ["secret"]
    assert (outside / "secret").read_bytes() == b"secret"


async def test_what_is_no_file_is_not_read(folder: FileStore, files_folder: Path) -> None:
    """Opening a pipe would wait for ever for somebody to write into it."""
    files_folder.mkdir()
    os.mkfifo(files_folder / "pipe")

    with pytest.raises(ObjectMissing):
        await folder.read("pipe")

    assert await keys_in(folder) == set()


async def test_a_write_that_fails_leaves_the_object_as_it_was(folder: FileStore, files_folder: Path) -> None:
    await folder.write("a/one", b"before", "text/plain")
    await folder.write("b/c", b"", "text/plain")

    with pytest.raises(StoreError):
        await folder.write("b", b"in the way of a folder", "text/plain")

    assert await folder.read("a/one") == b"before"
    assert await keys_in(folder) == {"a/one", "b/c"}


async def test_a_folder_goes_with_its_last_object(folder: FileStore, files_folder: Path) -> None:
    await folder.write("a/b/c/one", b"", "text/plain")
    await folder.write("a/two", b"", "text/plain")

    await folder.delete("a/b/c/one")
    assert [path.name for path in (files_folder / "a").iterdir()] == ["two"]
    await folder.delete("a/two")

    assert list(files_folder.iterdir()) == []


async def test_all_that_leads_to_an_object_is_on_the_disk_when_it_is_written(
    folder: FileStore, files_folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After a power cut the row was there, and the folder that was made for its object had no name."""
    synced: set[Path] = set()
    sync = os.fsync

    def note(descriptor: int) -> None:
        synced.add(Path(f"/proc/self/fd/{descriptor}").resolve())
        sync(descriptor)

    monkeypatch.setattr(os, "fsync", note)
    way = {files_folder / "variants" / "src", files_folder / "variants", files_folder}

    await folder.write("variants/src/one", b"1", "text/plain")
    assert way | {files_folder.parent} <= synced

    synced.clear()
    await folder.write("variants/src/two", b"2", "text/plain")
    assert way <= synced  # somebody else may have made them, and not yet synced them
    assert files_folder.parent not in synced


async def test_writers_and_deleters_in_one_folder_do_not_disturb_each_other(folder: FileStore) -> None:
    """Who deletes the last object takes the folder away, in which another is about to write."""

    async def write_and_delete(name: str) -> None:
        for _ in range(40):
            await folder.write(f"deep/er/{name}", b"x", "text/plain")
            await folder.delete(f"deep/er/{name}")
        await folder.write(f"deep/er/{name}", b"x", "text/plain")

    await asyncio.gather(*(write_and_delete(name) for name in "abc"))

    assert await keys_in(folder) == {"deep/er/a", "deep/er/b", "deep/er/c"}


async def test_a_large_folder_is_listed_page_by_page(folder: FileStore, files_folder: Path) -> None:
    for number in range(5):
        await folder.write(f"{number % 2}/{number}", b"", "text/plain")

    async with aclosing(Folder(files_folder, page=2).pages()) as pages:
        counts = [len(page) async for page in pages]

    assert counts == [2, 2, 1]


async def test_a_listing_that_is_left_in_the_middle_is_closed(folder: FileStore) -> None:
    """An open folder is a warning, and here an error, when it is collected."""
    await folder.write("one", b"", "text/plain")

    async with aclosing(folder.pages()) as pages:
        assert len(await anext(pages)) == 1


async def test_names_that_are_no_keys_are_passed_over(folder: FileStore, files_folder: Path) -> None:
    await folder.write("one", b"", "text/plain")
    (files_folder / "back\\slash").touch()
    Path(os.fsdecode(os.fsencode(files_folder) + b"/\xff")).touch()

    assert await keys_in(folder) == {"one"}


# A bucket


async def test_a_bucket_is_only_seen_below_its_prefix(
    bucket: FileStore, bucket_settings: dict[str, object], s3_port: int
) -> None:
    name = str(bucket_settings["files_url"]).split("/")[2]
    for path in ("of/other", "of/this-too/one", "of/this/mine"):
        put(s3_port, f"/{name}/{path}", b"1")

    assert await sizes_in(bucket) == {"mine": 1}


async def test_a_bucket_that_does_not_exist_is_no_missing_object(
    settings: MakeSettings, bucket_settings: dict[str, object]
) -> None:
    """A job would be given up for a typing error in the settings."""
    async with open_store(settings(**bucket_settings | {"files_url": "s3://no-such-bucket"})) as store:
        with pytest.raises(StoreError, match="a bucket that does not exist") as refusal:
            await store.read("one")

    assert not isinstance(refusal.value, ObjectMissing)


async def test_a_server_that_is_away_is_named_and_the_secret_is_not(
    settings: MakeSettings, bucket_settings: dict[str, object]
) -> None:
    away = settings(**bucket_settings | {"files_s3_endpoint": "http://127.0.0.1:1"})
    async with open_store(away) as store:
        with pytest.raises(StoreError, match=r"127\.0\.0\.1:1") as refusal:
            await store.read("one")

    assert SECRET_ACCESS_KEY not in repr(refusal.value) + repr(away)


# Settings


@pytest.mark.parametrize(
    "url",
    [
        *("files", "/files", "file:files", "file://host/files", "file:///", "file:///a?b", "s3://", "s3://bucket/a#b"),
        *("s3://key:secret@bucket", "s3://[", "http://a/b", "gs://bucket"),
    ],
)
async def test_a_url_that_names_no_store_is_refused(settings: MakeSettings, url: str) -> None:
    with pytest.raises(SettingsError, match="FILES_URL") as refusal:
        async with open_store(settings(files_url=url)):
            pass

    assert "secret" not in str(refusal.value)


def test_half_of_a_buckets_credentials_is_refused(settings: MakeSettings) -> None:
    with pytest.raises(SettingsError, match="FILES_S3_SECRET_ACCESS_KEY: is not set"):
        settings(files_s3_access_key_id="id")


async def test_without_a_url_every_use_says_what_to_set(settings: MakeSettings) -> None:
    async with open_store(settings()) as store:
        assert not store.is_set
        with pytest.raises(StoreError, match="FILES_URL must be"):
            await store.read("one")


async def test_a_percent_encoded_folder_is_found(settings: MakeSettings, tmp_path: Path) -> None:
    async with open_store(settings(files_url=(tmp_path / "my files").as_uri())) as store:
        await store.write("one", b"", "text/plain")

    assert (tmp_path / "my files" / "one").is_file()


async def test_a_bucket_without_its_library_names_the_extra(
    settings: MakeSettings, bucket_settings: dict[str, object], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "handlers.files.bucket", raising=False)
    monkeypatch.setitem(sys.modules, "obstore", None)

    with pytest.raises(SettingsError, match=r"needs obstore: pip install 'jobqueue\[s3\]'"):
        async with open_store(settings(**bucket_settings)):
            pass


def test_a_service_with_a_folder_loads_neither_library() -> None:
    """Whoever has no images and no bucket needs not install what they need."""
    program = (
        "import sys, handlers.clean_dead_archives, handlers.file_cleanup, handlers.files.on_demand\n"
        "import handlers.file_placeholder_image, handlers.file_transform_image\n"
        "print({'PIL', 'obstore'} & sys.modules.keys())"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)

    assert ran.stdout == "set()\n"
