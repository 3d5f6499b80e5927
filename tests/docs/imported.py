"""What a page has imported from its own folder, which the next page must not find."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import cast


def forget(folder: Path) -> None:
    """Take the modules and packages that lie in `folder` out of `sys.modules`."""
    for name, module in list(sys.modules.items()):
        if any(place.startswith(str(folder)) for place in _places_of(module)):
            del sys.modules[name]


def _places_of(module: ModuleType) -> list[str]:
    """Asked of its names and not of the module: one that is lazy would be imported by the question."""
    names = vars(module)
    paths = cast("Iterable[object]", names.get("__path__") or ())
    return [str(place) for place in (names.get("__file__"), *paths) if place]
