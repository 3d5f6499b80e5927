"""Each block of each page runs.

The rules, for whoever writes a page:

- ```python: typed into one program a page, a statement after another, with top-level `await`; so is ```javascript
  (```js), each block a module, with Node's bullmq. What is defined as a handler is registered in the default app, whose
  worker runs behind the page; a `registry` of the page's brings its lifespan. A job that fails, or is retried, fails
  the test, unless `tests/docs/given/<page>.py` lists its handler in `FAILS`. There, too, is what the page takes for
  granted.
- ```console, ```sh: typed into one bash a page, against a worker, API and board of their own (`tests/docs/terminal.py`
  has the details). A command must end with 0, unless what is shown of it begins with `error:`; what is shown must be
  what it says: words exactly, numbers and spaces by their shape, `…` for anything.
- ```json, ```toml, ```yaml, ```ini, ```env, ```sql are read by their readers.
- ```text and ```mermaid are for people. Every other language, or none, is an error here.
- A block whose first line is a path (`# shop/jobs.py`) is that file of the page's folder. Tests are in files
  (`# test_shop.py`), which pytest runs (`test_tests.py`).
- 8000 is the port where pages serve, 6379 where their Redis is; here both are free ones, put in their place.
  `--wait 5` waits longer, since the machine may be busy.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.docs import data_blocks
from tests.docs.behind import Behind
from tests.docs.conftest import DeskOf
from tests.docs.languages import CODE, DATA, SHOWN, TERMINAL
from tests.docs.node_blocks import run_in_node
from tests.docs.not_run import NOT_RUN, is_run, matches
from tests.docs.pages import PAGES, Block, all_blocks, blocks_of, given_for, name_of
from tests.docs.python_blocks import Reader
from tests.docs.terminal import Terminal
from tests.docs.typed import commands_in

BLOCKS = list(all_blocks())


def runs(block: Block) -> bool:
    return is_run(name_of(block.page), block.source.partition("\n")[0])


def pages_with(is_asked_for: Callable[[Block], bool]) -> list[Path]:
    return [page for page in PAGES if any(map(is_asked_for, blocks_of(page)))]


@pytest.mark.parametrize("page", pages_with(lambda block: block.language in CODE), ids=name_of)
async def test_the_code_of_a_page_runs(page: Path, desk_of: DeskOf) -> None:
    desk = desk_of(page)
    async with Behind(desk) as behind, Reader(desk, behind) as reader:
        for block in blocks_of(page):
            if block.language in CODE and runs(block):
                await (reader.type(block) if CODE[block.language] == "python" else run_in_node(desk, block))
            elif block.language not in TERMINAL:
                desk.write(block)


@pytest.mark.timeout(120)  # a page may have many commands, and a machine other work
@pytest.mark.parametrize("page", pages_with(lambda block: block.language in TERMINAL), ids=name_of)
async def test_the_commands_of_a_page_do_what_it_shows(page: Path, desk_of: DeskOf, jobqueue: Path) -> None:
    desk = desk_of(page)
    async with Terminal(desk, jobqueue) as terminal:
        for block in blocks_of(page):
            if block.language in TERMINAL:
                await terminal.type(block)
            else:
                desk.write(block)


@pytest.mark.parametrize(
    "block", [block for block in BLOCKS if block.language in DATA - {"sql"}], ids=lambda block: block.place
)
def test_the_data_of_a_block_can_be_read(block: Block) -> None:
    if runs(block):
        data_blocks.read(block)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_no_block_of_a_page_is_passed_over(page: Path) -> None:
    known = CODE.keys() | TERMINAL | DATA | SHOWN
    strange = [f"{block.place}: {block.language or 'no language'}" for block in blocks_of(page)
               if block.language not in known]  # fmt: skip
    assert not strange, f"nobody runs these; ```text is for what is only shown: {strange}"


@pytest.mark.parametrize("entry", NOT_RUN, ids=str)
def test_what_is_not_run_is_still_on_its_page(entry: tuple[str, str]) -> None:
    page, line = entry
    of_page = [block for block in BLOCKS if name_of(block.page) == page and block.language not in SHOWN]
    firsts = [block.source.partition("\n")[0] for block in of_page]
    typed = [command.text for block in of_page if block.language in TERMINAL for command in commands_in(block)]
    assert any(matches(line, first) for first in [*firsts, *typed]), f"{page} has no block or command that begins so"


def test_what_pages_take_for_granted_is_of_a_page_that_there_is() -> None:
    given = {path.stem for path in (Path(__file__).with_name("given")).glob("*.py")} - {"__init__"}
    assert given <= set(map(given_for, PAGES))
