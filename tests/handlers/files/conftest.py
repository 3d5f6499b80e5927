"""The fixtures of tests about files: a database with the service's tables, a folder and a bucket."""

from __future__ import annotations

import http.client
import logging
from collections.abc import AsyncGenerator, Iterator
from pathlib import Path

import pytest
from moto.server import ThreadedMotoServer

from handlers.files.store import FileStore, open_store
from handlers.models import ServiceBase
from jobqueue.database import Database, new_id, open_database
from tests.conftest import MakeSettings

ACCESS_KEY_ID = "the-key-id"
SECRET_ACCESS_KEY = "the-secret-of-the-bucket"
_SIGNED = (
    f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY_ID}/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0"
)


@pytest.fixture
async def database(database_url: str) -> AsyncGenerator[Database]:
    """This test's own database with the service's tables, on SQLite and on PostgreSQL."""
    async with open_database(database_url) as opened:
        await create_tables(opened)
        yield opened


@pytest.fixture
async def sqlite_database(sqlite_url: str) -> AsyncGenerator[Database]:
    """The same on SQLite alone, where a test is not about the database."""
    async with open_database(sqlite_url) as opened:
        await create_tables(opened)
        yield opened


@pytest.fixture
async def postgres_database(postgres_url: str) -> AsyncGenerator[Database]:
    async with open_database(postgres_url) as opened:
        await create_tables(opened)
        yield opened


async def create_tables(database: Database) -> None:
    async with database.transaction() as session:
        await (await session.connection()).run_sync(ServiceBase.metadata.create_all)


@pytest.fixture
def files_folder(tmp_path: Path) -> Path:
    return tmp_path / "files"


@pytest.fixture
async def folder(settings: MakeSettings, files_folder: Path) -> AsyncGenerator[FileStore]:
    async with open_store(settings(files_url=files_folder.as_uri())) as opened:
        yield opened


@pytest.fixture(scope="module")
def s3_port() -> Iterator[int]:
    """A server on 127.0.0.1 that speaks S3's protocol."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)
    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    _host, port = server.get_host_and_port()
    try:
        yield port
    finally:
        server.stop()


@pytest.fixture
def bucket_settings(s3_port: int) -> dict[str, object]:
    """What the settings of a service say whose files lie in a bucket of this test's own."""
    name = new_id()
    put(s3_port, f"/{name}", b"")
    return {
        "files_url": f"s3://{name}/of/this",
        "files_s3_endpoint": f"http://127.0.0.1:{s3_port}",
        "files_s3_access_key_id": ACCESS_KEY_ID,
        "files_s3_secret_access_key": SECRET_ACCESS_KEY,
    }


@pytest.fixture
async def bucket(settings: MakeSettings, bucket_settings: dict[str, object]) -> AsyncGenerator[FileStore]:
    async with open_store(settings(**bucket_settings)) as opened:
        yield opened


@pytest.fixture(params=["folder", "bucket"])
def store(request: pytest.FixtureRequest) -> FileStore:
    """The test runs once on a folder and once on a bucket."""
    found: FileStore = request.getfixturevalue(request.param)
    return found


def put(port: int, path: str, body: bytes) -> None:
    """Write to the server behind the store's back; a path of one part is a bucket that is made."""
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.request("PUT", path, body, {"Authorization": _SIGNED})
        assert connection.getresponse().status == 200
    finally:
        connection.close()
