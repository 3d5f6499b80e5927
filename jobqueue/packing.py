"""Packing: msgpack, as BullMQ's scripts take their tables; what comes again and again is packed once."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple, cast

import msgpack

_packer = cast(Any, msgpack).Packer(use_bin_type=True, unicode_errors="surrogateescape")


def pack(value: Any) -> bytes:
    """msgpack, as the scripts take their tables. Concurrency: each call is one step, also for threads."""
    return cast(bytes, _packer.pack(value))


class Entries(NamedTuple):
    """Entries of a msgpack map, packed beforehand; a few of them are joined for each call."""

    size: int
    packed: bytes


def pack_entries(fields: Mapping[str, Any]) -> Entries:
    return Entries(len(fields), b"".join(pack(part) for pair in fields.items() for part in pair))


def unpack_entries(entries: Entries) -> dict[str, Any]:
    """What `pack_entries` was given."""
    return cast(dict[str, Any], cast(Any, msgpack).unpackb(join_entries(entries)))


def join_entries(*parts: Entries) -> bytes:
    """One msgpack map of all entries."""
    header = cast(bytes, _packer.pack_map_header(sum([part.size for part in parts])))
    return header + b"".join([part.packed for part in parts])


@lru_cache(maxsize=10_000)
def packed_map(*parts: Entries) -> bytes:
    """`join_entries` for those that come again and again."""
    return join_entries(*parts)


def pack_fields(fields: Mapping[str, str]) -> bytes:
    """Fields of the job hash to change with a transition, flat; nothing where there are none."""
    return b"" if not fields else pack([part for pair in fields.items() for part in pair])
