"""Places: where in somebody's code an error comes from, as an editor opens it."""

from __future__ import annotations

import traceback
from pathlib import Path


def place_of(error: BaseException | None, home: Path) -> str | None:
    """`file, line 12`: where the code is no Python, else the last line of `home` that the error came through.

    None for an error that did not come through any file there.
    """
    if error is None:
        return None
    if isinstance(error, SyntaxError) and error.filename is not None:
        return _named(Path(error.filename), error.lineno, home)
    frames = traceback.extract_tb(error.__traceback__)
    own = [frame for frame in frames if Path(frame.filename).is_relative_to(home) and not _is_installed(frame.filename)]
    return _named(Path(own[-1].filename), own[-1].lineno, home) if own else None


def _is_installed(filename: str) -> bool:
    """A virtual environment often lies in the folder of the code that uses it."""
    return "site-packages" in Path(filename).parts


def _named(path: Path, line: int | None, home: Path) -> str:
    shown = path.relative_to(home) if path.is_relative_to(home) else path
    return f"{shown}, line {line}"
