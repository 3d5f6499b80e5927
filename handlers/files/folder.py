"""Folder: a store whose objects are plain files.

No key leads out of it: keys are checked before they come here, and a symbolic link is never followed to elsewhere.
"""

from __future__ import annotations

import asyncio
import os
import stat
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from threading import Lock
from typing import BinaryIO, Final, TypeVar

from handlers.files.errors import ObjectMissing, ObjectTooLarge, StoreError
from handlers.files.stored import StoredObject
from jobqueue.database import new_id

PAGE: Final = 1_000
MAX_DEPTH: Final = 256
"""A file that lies deeper has too long a path for a key."""

_TRIES: Final = 5
_READING: Final = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC

R = TypeVar("R")


class Folder:
    """The objects below one folder, which is made at the first write. Concurrency: of any number of processes."""

    def __init__(self, root: Path, page: int = PAGE) -> None:
        self._root = root
        self._page = page

    async def pages(self) -> AsyncGenerator[Sequence[StoredObject]]:
        walk = _Walk(self._root, self._page)
        try:
            while page := await self._told("", walk.next_page):
                yield page
        finally:
            await asyncio.to_thread(walk.close)

    async def read(self, key: str, most_bytes: int) -> bytes:
        return await self._told(key, lambda: self._read(key, most_bytes))

    async def write(self, key: str, data: bytes, content_type: str) -> None:
        """A crash leaves at most a file that begins with a dot, which is an orphan like any other."""
        await self._told(key, lambda: self._write(key, data))

    async def delete(self, key: str) -> None:
        """Folders that are empty then go with it."""
        await self._told(key, lambda: self._delete(key))

    async def _told(self, key: str, work: Callable[[], R]) -> R:
        """The work, in a thread. Raises: StoreError."""
        try:
            return await asyncio.to_thread(work)
        except OSError as error:
            raise StoreError(key, f"cannot be used in {self._root}: {error.strerror or error}") from error

    def _path(self, key: str) -> Path:
        """Raises: StoreError where a symbolic link on the way leads out of the folder."""
        path = self._root / key
        if not path.parent.resolve().is_relative_to(self._root.resolve()):
            raise StoreError(key, f"lies behind a symbolic link that leads out of {self._root}")
        return path

    def _read(self, key: str, most_bytes: int) -> bytes:
        try:
            descriptor = os.open(self._path(key), _READING)
        except (FileNotFoundError, NotADirectoryError) as error:
            raise ObjectMissing(key) from error
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise ObjectMissing(key)
            if found.st_size > most_bytes:
                raise ObjectTooLarge(key, found.st_size, most_bytes)
            return file.read(most_bytes)

    def _write(self, key: str, data: bytes) -> None:
        path = self._path(key)
        part = path.with_name(f".{new_id()}.part")
        above = [folder.parent for folder in (self._root, *self._root.parents) if not folder.exists()]
        try:
            with _created(part) as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            part.replace(path)
        finally:
            part.unlink(missing_ok=True)
        # A row that is committed after this must not outlive the object's name, nor that of a folder on the way to it,
        # whoever has made that a moment ago.
        for folder in (*path.parents[: key.count("/") + 1], *above):
            _sync(folder)

    def _delete(self, key: str) -> None:
        path = self._path(key)
        with suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()
        for folder in path.parents[: key.count("/")]:
            try:
                folder.rmdir()
            except FileNotFoundError:
                continue
            except OSError:  # it holds something
                return


def _created(part: Path) -> BinaryIO:
    """A new file. Its folder goes where somebody deletes the last object in it, and is then made again."""
    for _ in range(_TRIES - 1):
        with suppress(FileNotFoundError):
            part.parent.mkdir(parents=True, exist_ok=True)
            return part.open("xb")
    part.parent.mkdir(parents=True, exist_ok=True)
    return part.open("xb")


def _sync(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class _Walk:
    """A walk through all files that goes on page by page. Concurrency: `close` waits for a page that is being read."""

    def __init__(self, root: Path, page: int) -> None:
        self._page = page
        self._files = _files_below(str(root), "", MAX_DEPTH)
        self._lock = Lock()

    def next_page(self) -> list[StoredObject]:
        with self._lock:
            return list(islice(self._files, self._page))

    def close(self) -> None:
        with self._lock:
            self._files.close()


def _files_below(folder: str, prefix: str, depth: int) -> Generator[StoredObject]:
    try:
        entries = os.scandir(folder)
    except (FileNotFoundError, NotADirectoryError):  # nothing was written yet, or it was deleted meanwhile
        return
    with entries:
        for entry in entries:
            if entry.is_dir(follow_symlinks=False):
                if depth:
                    yield from _files_below(entry.path, f"{prefix}{entry.name}/", depth - 1)
            elif entry.is_file(follow_symlinks=False):
                with suppress(FileNotFoundError):
                    found = entry.stat(follow_symlinks=False)
                    moment = datetime.fromtimestamp(found.st_mtime, UTC)
                    yield StoredObject(prefix + entry.name, found.st_size, moment)
