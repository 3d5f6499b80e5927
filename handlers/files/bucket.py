"""Bucket: a store whose objects lie in S3, or in whatever speaks its protocol. Needs the extra `s3`."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Generator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Final

import obstore
from obstore.exceptions import BaseError
from obstore.store import S3Store

from handlers.files.errors import ObjectMissing, ObjectTooLarge, StoreError
from handlers.files.stored import StoredObject
from jobqueue import Settings

if TYPE_CHECKING:  # they exist for checkers alone
    from obstore.store import ClientConfig, RetryConfig, S3Config

PAGE: Final = 1_000


class Bucket:
    """The objects below one prefix of a bucket."""

    def __init__(self, store: S3Store) -> None:
        self._store = store

    async def pages(self) -> AsyncGenerator[Sequence[StoredObject]]:
        with _told(""):
            async for page in obstore.list(self._store, chunk_size=PAGE):
                yield [StoredObject(one["path"], one["size"], one["last_modified"]) for one in page]

    async def read(self, key: str, most_bytes: int) -> bytes:
        with _told(key):
            found = await obstore.get_async(self._store, key)
            size_bytes = found.meta["size"]
            if size_bytes > most_bytes:
                raise ObjectTooLarge(key, size_bytes, most_bytes)
            return bytes(await found.bytes_async())

    async def write(self, key: str, data: bytes, content_type: str) -> None:
        with _told(key):
            await obstore.put_async(self._store, key, data, attributes={"Content-Type": content_type})

    async def delete(self, key: str) -> None:
        with _told(key):
            await obstore.delete_async(self._store, key)


def open_bucket(bucket: str, prefix: str, settings: Settings) -> Bucket:
    """With the keys of the settings, else with what the machine has: AWS_… variables, or the role that it runs in."""
    config: S3Config = {"bucket": bucket, "region": settings.files_s3_region}
    if settings.files_s3_endpoint is not None:
        config["endpoint"] = settings.files_s3_endpoint
    secret = settings.files_s3_secret_access_key
    if settings.files_s3_access_key_id is not None and secret is not None:
        config["access_key_id"] = settings.files_s3_access_key_id
        config["secret_access_key"] = secret.get_secret_value()
    is_plain = (settings.files_s3_endpoint or "").startswith("http://")
    client: ClientConfig = {"allow_http": is_plain, "connect_timeout": "5s", "timeout": "60s"}
    patience: RetryConfig = {"max_retries": 3, "retry_timeout": timedelta(seconds=20)}
    return Bucket(S3Store(prefix=prefix or None, config=config, client_options=client, retry_config=patience))


@contextmanager
def _told(key: str) -> Generator[None]:
    """Raises: ObjectMissing; StoreError, without the pages of details that follow the first sentence."""
    try:
        yield
    except FileNotFoundError as error:
        if "<Code>NoSuchBucket</Code>" in str(error):
            raise StoreError(key, "lies in a bucket that does not exist") from error
        raise ObjectMissing(key) from error
    except (BaseError, OSError, ValueError) as error:
        sentence = str(error).partition("\n")[0]
        raise StoreError(key, f"cannot be used: {sentence}") from error
