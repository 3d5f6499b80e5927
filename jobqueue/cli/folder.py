"""Folder: `.jobqueue/`, where `jobqueue dev` keeps its data, and how other terminals find a dev server.

A running dev server holds a lock of the kernel on `dev.lock` and writes its settings to `env`. The lock ends with
the process, however that ends, so an `env` that a killed server left behind is not believed.
"""

from __future__ import annotations

import fcntl
import os
import shlex
import stat
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from jobqueue.errors import JobqueueError

NAME = ".jobqueue"

_OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH


class DevFolderError(JobqueueError):
    """The folder `.jobqueue` cannot be used."""


class DevFolder:
    """The folder `.jobqueue` of the current one."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = path / "dev.lock"
        self._shared = path / "env"

    @property
    def redis(self) -> Path:
        return self.path / "redis"

    @property
    def database_url(self) -> str:
        return f"sqlite+aiosqlite:///{self.path / 'jobqueue.db'}"

    @contextmanager
    def held(self) -> Generator[None]:
        """Make the folder and hold it for the length of the block. Raises: DevFolderError."""
        try:
            self._make()
            lock = os.open(self._lock, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
        except OSError as error:
            raise DevFolderError(f"cannot use {self.path}: {error.strerror}") from error
        try:
            self._take(lock)
            self._shared.unlink(missing_ok=True)  # what a killed server left behind
            yield
        finally:
            os.close(lock)

    def _make(self) -> None:
        """The folder, as one that nobody else can look into. Raises: OSError; DevFolderError."""
        self.path.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._is_ours():
            raise DevFolderError(f"{self.path} is a link, or somebody else's; remove it, or work in another folder")
        self.path.chmod(0o700)  # made before with another mode
        _write_private(self.path / ".gitignore", "*\n")

    def _is_ours(self) -> bool:
        """True for a folder of this user's own, and no link to another place. Raises: OSError where there is none."""
        found = self.path.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid()

    def _take(self, lock: int) -> None:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise DevFolderError(f"a dev server runs in this folder already (it holds {self._lock})") from None

    @contextmanager
    def shared(self, variables: Mapping[str, str]) -> Generator[None]:
        """Tell other terminals these settings for the length of the block. Only inside `held`."""
        _write_private(self._shared, "".join(f"{name}={shlex.quote(value)}\n" for name, value in variables.items()))
        try:
            yield
        finally:
            self._shared.unlink(missing_ok=True)

    def read_shared(self) -> dict[str, str]:
        """The settings of the dev server that runs in this folder; empty where none does.

        What somebody else has put there is not believed: it would send this user's jobs to his Redis.
        """
        try:
            if not self._is_ours() or self.path.lstat().st_mode & _OTHERS_MAY_WRITE or not self._is_held():
                return {}
            lines = shlex.split(self._shared.read_text(encoding="utf-8"))
        except (FileNotFoundError, PermissionError):
            return {}
        parts = (line.partition("=") for line in lines)
        return {name: value for name, _, value in parts}

    def _is_held(self) -> bool:
        try:
            lock = os.open(self._lock, os.O_RDONLY)
        except FileNotFoundError:
            return False
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
        finally:
            os.close(lock)
        return False

    def signing_key(self, make: Callable[[], str]) -> str:
        """The private key that signs webhooks here, as PEM; made once, with `make`, and readable by its owner only."""
        path = self.path / "webhook-signing-key.pem"
        if not path.exists():
            _write_private(path, make())
        return path.read_text(encoding="utf-8")


def current() -> DevFolder:
    return DevFolder(Path.cwd() / NAME)


def _write_private(path: Path, text: str) -> None:
    """Whole or not at all, with mode 0600 from the first byte."""
    draft = path.with_name(f"{path.name}.new")
    draft.unlink(missing_ok=True)
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
        file.write(text)
    draft.replace(path)
