"""Proofs in a folder of this machine: profiles whose URL is `file:///…`."""

from __future__ import annotations

import asyncio
import errno
import os
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path, PurePosixPath
from stat import S_ISREG
from typing import Final

import httpx

from handlers.users.proof import MAX_BYTES, TOO_LARGE, Found, Missing, OutOfReach, Reading, path_of_proof

_NOT_THERE: Final = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO)
"""No such file, or what is none: a link, which is not followed; a socket."""

NO_PROOF: Final = Missing("there is no proof in the profile's folder")


async def read_in_folder(folder: Path | None, url: httpx.URL, hostname: str) -> Reading:
    """Read the proof of a profile that lies below `folder`; nothing else can be read, whatever the URL says."""
    if folder is None:
        return Missing("url: file:// is read where PROFILES_FOLDER is set, and here it is not")
    if url.host not in ("", "localhost") or "\0" in url.path:
        return Missing("url: must be file:/// and the path of a folder")
    return await asyncio.to_thread(_read, folder, PurePosixPath(path_of_proof(url.path, hostname)))


def _read(folder: Path, proof: PurePosixPath) -> Reading:
    """A folder that cannot be opened says nothing of the profiles in it: it may not be mounted yet."""
    try:
        parts = proof.relative_to(folder.absolute()).parts
    except ValueError:
        return Missing("url: is not below PROFILES_FOLDER")
    with ExitStack() as opened:
        try:
            root = _open(folder, os.O_RDONLY | os.O_DIRECTORY, opened)
        except OSError as error:
            return OutOfReach(f"PROFILES_FOLDER: {error.strerror}")
        try:
            return _read_below(root, parts, opened)
        except OSError as error:
            return NO_PROOF if error.errno in _NOT_THERE else OutOfReach(f"the proof: {error.strerror}")


def _read_below(root: int, parts: Sequence[str], opened: ExitStack) -> Reading:
    """Name by name from the folder down, so that no link leads out of it, nor one that is made meanwhile."""
    here = root
    for part in parts:
        # NONBLOCK: to open a pipe would wait for somebody who writes to it.
        here = _open(part, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, opened, here)
    if not S_ISREG(os.fstat(here).st_mode):
        return NO_PROOF
    with open(here, "rb", closefd=False) as file:
        body = file.read(MAX_BYTES + 1)
    return TOO_LARGE if len(body) > MAX_BYTES else Found(body)


def _open(name: Path | str, flags: int, opened: ExitStack, folder: int | None = None) -> int:
    descriptor = os.open(name, flags | os.O_CLOEXEC, dir_fd=folder)
    opened.callback(os.close, descriptor)
    return descriptor
