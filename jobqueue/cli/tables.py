"""Tables: rows as a terminal or a pipe shows them."""

from __future__ import annotations

import io
import shutil
import sys
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from rich.console import Console, RenderableType
from rich.table import Table

from jobqueue.cli.console import one_line, say

WIDE: Final = 10_000


def print_table(
    headings: Sequence[str], rows: Iterable[Sequence[str]], *, whole: Collection[str] = (), right: Collection[str] = ()
) -> None:
    """One line a row, without what a terminal obeys. `whole` columns are never folded, `right` ones hold numbers."""
    table = Table(box=None, pad_edge=False)
    for heading in headings:
        is_whole, is_number = heading in whole, heading in right
        table.add_column(heading, overflow="fold", no_wrap=is_whole, justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*map(one_line, row))
    # A pipe has no width: nothing may be folded there.
    say(drawn(table, width=None if sys.stdout.isatty() else WIDE))


def drawn(what: RenderableType, *, width: int | None = None) -> str:
    """As text, so that one place alone writes to standard output; None is as wide as the terminal, or 80."""
    paper, is_terminal = io.StringIO(), sys.stdout.isatty()
    columns = shutil.get_terminal_size().columns if width is None else width
    console = Console(file=paper, width=columns, markup=False, highlight=False, force_terminal=is_terminal)
    console.print(what)
    return paper.getvalue().removesuffix("\n")
