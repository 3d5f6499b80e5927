"""A maker of a variant that is killed at one of its steps, in a process of its own."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable
from multiprocessing import get_context
from pathlib import Path
from typing import Final, Literal, TypeAlias

from sqlalchemy import event
from sqlalchemy.engine import Connection

from handlers.file_transform_image import make_variant
from handlers.files.folder import Folder
from handlers.files.options import ImageOptions
from handlers.files.store import FileStore
from jobqueue.database import open_database

Step: TypeAlias = Literal["read", "half of the object", "the object", "the row", "the commit"]

_FORKS: Final = get_context("forkserver")
_FORKS.set_forkserver_preload([__name__, "handlers.files.images"])


class DyingFolder(Folder):
    """A folder in which the maker is killed once it has done a step."""

    def __init__(self, root: Path, last: Step) -> None:
        super().__init__(root)
        self.root = root
        self.last = last

    async def read(self, key: str, most_bytes: int) -> bytes:
        data = await super().read(key, most_bytes)
        self.done("read")
        return data

    async def write(self, key: str, data: bytes, content_type: str) -> None:
        if self.last == "half of the object":
            part = (self.root / key).with_name(".half.part")
            part.parent.mkdir(parents=True)
            part.write_bytes(data[: len(data) // 2])
        self.done("half of the object")
        await super().write(key, data, content_type)
        self.done("the object")

    def done(self, step: Step) -> None:
        if step == self.last:
            os.kill(os.getpid(), signal.SIGKILL)


def die_making(url: str, root: Path, file_id: str, options: ImageOptions, last: Step) -> int | None:
    """Make a variant and be killed after a step; returns how the process ended."""
    process = _FORKS.Process(target=_make, args=(url, root, file_id, options, last))
    process.start()
    process.join()
    return process.exitcode


def _make(url: str, root: Path, file_id: str, options: ImageOptions, last: Step) -> None:
    asyncio.run(_make_and_die(url, DyingFolder(root, last), file_id, options))


async def _make_and_die(url: str, folder: DyingFolder, file_id: str, options: ImageOptions) -> None:
    async with open_database(url) as database:
        event.listen(database.engine.sync_engine, "after_cursor_execute", _after_the_row(folder))
        await make_variant(database, FileStore(folder), file_id, options)
        folder.done("the commit")


def _after_the_row(folder: DyingFolder) -> Callable[[Connection, object, str, object, object, bool], None]:
    def look(
        _connection: Connection, _cursor: object, statement: str, _values: object, _more: object, _many: bool
    ) -> None:
        if statement.startswith("INSERT"):
            folder.done("the row")

    return look
