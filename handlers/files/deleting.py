"""Deleting: many objects, of which one that cannot be deleted does not keep the others."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Iterator
from typing import Final

from handlers.files.errors import StoreError
from handlers.files.store import FileStore

AT_ONCE: Final = 10


async def delete_all(store: FileStore, keys: Iterable[str]) -> dict[str, str]:
    """Returns those that could not be deleted, each with the reason."""
    failed: dict[str, str] = {}
    remaining = iter(keys)
    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(_delete_from(store, remaining, failed))
    return failed


async def _delete_from(store: FileStore, remaining: Iterator[str], failed: dict[str, str]) -> None:
    for key in remaining:
        try:
            await store.delete(key)
        except StoreError as error:
            failed[key] = str(error)
