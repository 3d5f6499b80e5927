"""A real PostgreSQL cluster of the tests' own, with a fresh database for each test."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import uuid
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from tests.support.processes import end, free_port, spawn, wait_until_up

HOST = "127.0.0.1"
SUPERUSER = "postgres"
DEBIAN_VERSIONS = Path("/usr/lib/postgresql")


class PostgresServer:
    """A cluster in `directory`, on a free port of 127.0.0.1, that trusts every connection and never syncs.

    PostgreSQL refuses to run as root: there it runs as the system's user `postgres`.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.port = free_port()
        self._data = directory / "data"
        self._binaries = newest_binaries()
        self._user = SUPERUSER if os.geteuid() == 0 else None
        self._process: subprocess.Popen[bytes] | None = None

    def url(self, database: str) -> str:
        """SQLAlchemy's URL of `database` for asyncpg."""
        return f"postgresql+asyncpg://{SUPERUSER}@{HOST}:{self.port}/{database}"

    def create_cluster(self) -> None:
        """Write the files of an empty cluster; to be called once, before `start`."""
        if self._user is not None:
            shutil.chown(self.directory, self._user, self._user)
        initdb = [str(self._binaries / "initdb"), "--pgdata", str(self._data), "--username", SUPERUSER]
        self._run(*initdb, "--auth", "trust", "--encoding", "UTF8", "--locale", "C", "--no-sync")

    def start(self) -> None:
        """Returns when the server takes connections."""
        log = self.directory / "postgres.log"
        settings = {"listen_addresses": HOST, "unix_socket_directories": str(self.directory)}
        settings |= dict.fromkeys(("fsync", "synchronous_commit", "full_page_writes"), "off")
        options = [option for name, value in settings.items() for option in ("-c", f"{name}={value}")]
        command = [str(self._binaries / "postgres"), "-D", str(self._data), "-p", str(self.port), *options]
        self._process = spawn(command, cwd=self.directory, log=log, user=self._user)
        wait_until_up(self._process, self._answers, log)

    def stop(self) -> None:
        """Shut down at once, cutting the connections that are open (SIGINT). Twice is fine."""
        if self._process is not None:
            end(self._process, signal.SIGINT)
            self._process = None

    @contextmanager
    def fresh_database(self) -> Generator[str]:
        """The URL of an empty database, which is dropped at the end, connections or not."""
        name = f"t{uuid.uuid4().hex[:12]}"
        self._client("createdb", name)
        try:
            yield self.url(name)
        finally:
            if self._answers():
                self._client("dropdb", "--force", name)

    def _client(self, program: str, *arguments: str) -> None:
        connection = ("--host", HOST, "--port", str(self.port), "--username", SUPERUSER)
        self._run(str(self._binaries / program), *connection, *arguments)

    def _answers(self) -> bool:
        is_ready = [str(self._binaries / "pg_isready"), "--quiet", "--host", HOST, "--port", str(self.port)]
        return subprocess.run(is_ready, check=False).returncode == 0

    def _run(self, *command: str) -> None:
        """Raises: RuntimeError, with what the program said, where it failed."""
        done = subprocess.run(command, cwd=self.directory, user=self._user, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise RuntimeError(f"{command[0]} failed:\n{done.stdout}{done.stderr}")


def newest_binaries() -> Path:
    """The folder with `initdb` and `postgres`: Debian keeps one a version, others have them on PATH."""
    versions = [folder for folder in DEBIAN_VERSIONS.glob("*/bin") if (folder / "initdb").exists()]
    if versions:
        return max(versions, key=lambda folder: int(folder.parent.name))
    on_path = shutil.which("initdb")
    if on_path is None:
        raise RuntimeError(f"no PostgreSQL in {DEBIAN_VERSIONS} or on PATH; scripts/test installs one")
    return Path(on_path).resolve().parent


@contextmanager
def running_postgres() -> Generator[PostgresServer]:
    """A cluster in a private directory; both end with the block."""
    with tempfile.TemporaryDirectory(prefix="postgres-") as directory:
        server = PostgresServer(Path(directory))
        server.create_cluster()
        server.start()
        try:
            yield server
        finally:
            server.stop()
