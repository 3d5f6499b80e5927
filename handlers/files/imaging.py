"""Imaging: the work on images, loaded when it is first asked for, since not everybody has its library."""

from __future__ import annotations

from importlib import import_module
from typing import Protocol, cast

from handlers.files.errors import MissingExtra
from handlers.files.options import ImageOptions


class Imaging(Protocol):
    """What `handlers.files.images` can do."""

    def placeholder_of(self, data: bytes) -> str: ...

    def transform(self, data: bytes, options: ImageOptions) -> bytes: ...


def load_imaging() -> Imaging:
    """Raises: MissingExtra where Pillow is not installed."""
    try:
        return cast(Imaging, import_module("handlers.files.images"))
    except ModuleNotFoundError as error:
        raise MissingExtra("Pillow", "images") from error
