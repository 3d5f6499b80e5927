"""Store: where objects lie, a folder or a bucket; opened from FILES_URL."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Final, Protocol, cast
from urllib.parse import SplitResult, unquote, urlsplit

from handlers.files.errors import StoreError
from handlers.files.folder import Folder
from handlers.files.keys import checked_key, is_key
from handlers.files.stored import StoredObject
from jobqueue import Settings, SettingsError

MAX_READ_BYTES: Final = 64 * 1024 * 1024
_NOT_SET: Final = "is not set: FILES_URL must be file:///folder or s3://bucket/prefix"


class Backend(Protocol):
    """What a folder and a bucket can do. Keys are checked before they come here. Raises: StoreError."""

    def pages(self) -> AsyncGenerator[Sequence[StoredObject]]:
        """All objects, a thousand at most at a time, so that a store of any size takes little memory."""
        ...

    async def read(self, key: str, most_bytes: int) -> bytes:
        """Raises: ObjectMissing; ObjectTooLarge, before anything is read."""
        ...

    async def write(self, key: str, data: bytes, content_type: str) -> None:
        """Atomic: whoever reads finds the whole object, or the one that was there before."""
        ...

    async def delete(self, key: str) -> None:
        """Idempotent: nothing happens where there is no such object."""
        ...


@dataclass(frozen=True, slots=True)
class FileStore:
    """The store of a service. Without a backend (FILES_URL is not set) whatever is asked of it is a StoreError.

    Concurrency: any number of tasks. Raises: InvalidKey for what leads out of the store.
    """

    backend: Backend | None

    @property
    def is_set(self) -> bool:
        return self.backend is not None

    async def pages(self) -> AsyncGenerator[Sequence[StoredObject]]:
        """All objects, a thousand at most at a time; what has no key that `write` would take is passed over.

        What is written or deleted meanwhile may be among them or not.
        """
        async with aclosing(self._backend().pages()) as pages:
            async for page in pages:
                yield [one for one in page if is_key(one.key)]

    async def read(self, key: str, most_bytes: int = MAX_READ_BYTES) -> bytes:
        """A whole object. Raises: ObjectMissing; ObjectTooLarge; StoreError."""
        return await self._backend().read(checked_key(key), most_bytes)

    async def write(self, key: str, data: bytes, content_type: str) -> None:
        """Atomic: nobody ever finds a part of it. Raises: StoreError."""
        await self._backend().write(checked_key(key), data, content_type)

    async def delete(self, key: str) -> None:
        """Idempotent: an object that is not there is deleted. Raises: StoreError."""
        await self._backend().delete(checked_key(key))

    def _backend(self) -> Backend:
        if self.backend is None:
            raise StoreError("", _NOT_SET)
        return self.backend


@asynccontextmanager
async def open_store(settings: Settings) -> AsyncGenerator[FileStore]:
    """The store that FILES_URL names. A folder is made when it is first written to.

    Raises: SettingsError, also where a bucket is named and its library is not installed.
    """
    yield FileStore(None if settings.files_url is None else _backend(settings.files_url, settings))


def _backend(files_url: str, settings: Settings) -> Backend:
    try:
        url = urlsplit(files_url)
    except ValueError as error:
        raise SettingsError("FILES_URL", str(error)) from error
    if url.query or url.fragment:
        raise SettingsError("FILES_URL", "must have no '?' and no '#'; percent-encode them in a name")
    match url.scheme:
        case "file" if not url.netloc and url.path.startswith("/") and url.path.strip("/"):
            return Folder(Path(unquote(url.path)))
        case "s3" if url.netloc and "@" not in url.netloc and ":" not in url.netloc:
            return _bucket(url, settings)
        case _:
            raise SettingsError("FILES_URL", "must be file:///folder (absolute) or s3://bucket/prefix")


class _BucketModule(Protocol):
    def open_bucket(self, bucket: str, prefix: str, settings: Settings) -> Backend: ...


def _bucket(url: SplitResult, settings: Settings) -> Backend:
    """Its library is loaded only here: a service whose files lie in a folder has no need of it."""
    try:
        module = cast(_BucketModule, import_module("handlers.files.bucket"))
    except ModuleNotFoundError as error:
        raise SettingsError("FILES_URL", f"needs {error.name}: pip install 'jobqueue[s3]'") from error
    return module.open_bucket(url.netloc, unquote(url.path).strip("/"), settings)
