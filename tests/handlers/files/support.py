"""Images, rows and ages for the tests of files."""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import cast

from PIL import ExifTags, Image
from sqlalchemy import func, select

from handlers.files.errors import StoreError
from handlers.files.folder import Folder
from handlers.files.store import FileStore
from handlers.models import Archive, ArchiveUser, File, User
from jobqueue.database import Database, new_id

RED = (255, 0, 0)
BLUE = (0, 0, 255)
CLEAR = (0, 0, 0, 0)
SIDEWAYS = 6
"""The orientation of EXIF that a telephone held upright writes: it is shown turned to the right by a quarter."""


class Guarded(Folder):
    """A folder of which a part may not be deleted from, whoever asks: a mode would not keep root."""

    async def delete(self, key: str) -> None:
        if key.startswith("guarded/"):
            raise StoreError(key, "may not be deleted")
        await super().delete(key)


def an_image(width: int = 40, height: int = 20, colour: tuple[int, ...] = RED, mode: str = "RGB") -> Image.Image:
    return Image.new(mode, (width, height), colour)


def encoded(image: Image.Image, name: str = "PNG", *, orientation: int | None = None) -> bytes:
    """The bytes of a file of that format."""
    file, exif = BytesIO(), Image.Exif()
    if orientation is not None:
        exif[ExifTags.Base.Orientation] = orientation
    image.save(file, name, **({"exif": exif} if orientation is not None else {}))
    return file.getvalue()


def decoded(data: bytes) -> Image.Image:
    with Image.open(BytesIO(data)) as image:
        image.load()
        return image


def is_near(colour: object, other: tuple[int, ...]) -> bool:
    """Whether it is the same colour but for what JPEG makes of it."""
    seen = cast("tuple[int, ...]", colour)
    return all(abs(one - two) < 12 for one, two in zip(seen, other, strict=True))


async def add_file(
    database: Database, store: FileStore, data: bytes, *, name: str = "cat.png", archive_id: str | None = None
) -> File:
    """An upload as a service makes it: the object, then the row."""
    file = File(
        id=new_id(),
        key=f"uploads/{new_id()}/{name}",
        name=name,
        content_type="image/png",
        size_bytes=len(data),
        archive_id=archive_id,
        created_at=datetime.now(UTC),
    )
    await store.write(file.key, data, "image/png")
    async with database.transaction() as session:
        session.add(file)
    return file


async def add_archive(database: Database, *, age_hours: float = 24, users: int = 0) -> str:
    moment = datetime.now(UTC) - timedelta(hours=age_hours)
    archive = Archive(id=new_id(), name="a", created_at=moment)
    async with database.transaction() as session:
        session.add(archive)
    for _ in range(users):
        await join(database, archive.id)
    return archive.id


async def add_user(database: Database) -> str:
    user = User(id=new_id(), email=f"{new_id()}@example.com", created_at=datetime.now(UTC))
    async with database.transaction() as session:
        session.add(user)
    return user.id


async def join(database: Database, archive_id: str) -> None:
    user_id = await add_user(database)
    async with database.transaction() as session:
        session.add(ArchiveUser(archive_id=archive_id, user_id=user_id))


async def rows(database: Database) -> int:
    async with database.transaction() as session:
        return await session.scalar(select(func.count()).select_from(File)) or 0


async def variants_of(database: Database, file: File) -> list[File]:
    async with database.transaction() as session:
        return list(await session.scalars(select(File).where(File.variant_of == file.id)))


async def archives(database: Database) -> set[str]:
    async with database.transaction() as session:
        return set(await session.scalars(select(Archive.id)))


async def keys_in(store: FileStore) -> set[str]:
    return set(await sizes_in(store))


async def sizes_in(store: FileStore) -> Mapping[str, int]:
    async with aclosing(store.pages()) as pages:
        return {one.key: one.size_bytes async for page in pages for one in page}


def make_old(folder: Path, key: str, hours: float = 2) -> None:
    """As if the object had been written so long ago."""
    moment_s = (datetime.now(UTC) - timedelta(hours=hours)).timestamp()
    os.utime(folder / key, (moment_s, moment_s))
