"""The harness sees what is wrong with a page, and says where."""

from __future__ import annotations

import socket
import traceback
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest

from tests.docs.behind import Behind
from tests.docs.conftest import DeskOf
from tests.docs.pages import ROOT, Block, blocks_of
from tests.docs.python_blocks import Reader
from tests.docs.shown import is_said
from tests.docs.terminal import Terminal
from tests.docs.typed import commands_in

PAGE = ROOT / "docs" / "made-up.md"
HANDLER = """
import asyncio
from jobqueue import JobContext, enqueue_job, make_job

@make_job(attempts=1)
async def divide(ctx: JobContext, by: int) -> float:
    return 1 / by
"""


def block(language: str, source: str, line: int = 10) -> Block:
    return Block(PAGE, line, language, source.lstrip("\n"))


@asynccontextmanager
async def reading(desk_of: DeskOf) -> AsyncGenerator[Reader]:
    desk = desk_of(PAGE)
    async with Behind(desk) as behind, Reader(desk, behind) as reader:
        yield reader


async def test_an_error_in_a_block_tells_the_line_of_the_page(desk_of: DeskOf) -> None:
    async with reading(desk_of) as reader:
        await reader.type(block("python", "one = 1\n"))
        with pytest.raises(ZeroDivisionError) as told:
            await reader.type(block("python", "two = 2\n\none / 0\n", line=20))

    assert told.value.__notes__ == ["in the block at docs/made-up.md:20"]
    last = traceback.extract_tb(told.value.__traceback__)[-1]
    assert (last.filename, last.lineno) == (str(PAGE), 23)


async def test_a_job_that_fails_behind_a_page_fails_the_page(desk_of: DeskOf) -> None:
    page = AsyncExitStack()
    reader = await page.enter_async_context(reading(desk_of))
    await reader.type(block("python", HANDLER))
    await reader.type(block("python", "await enqueue_job(divide, 0)\n"))

    with pytest.raises(AssertionError, match=r"divide, job 1: .*division by zero"):
        await page.aclose()


async def test_a_block_may_wait_for_a_job_of_a_handler_that_it_defines(desk_of: DeskOf) -> None:
    async with reading(desk_of) as reader:
        await reader.type(block("python", HANDLER + "assert await (await enqueue_job(divide, 2)).wait(10) == 0.5\n"))


async def test_a_block_that_names_a_file_is_a_module_for_those_behind_it(desk_of: DeskOf) -> None:
    async with reading(desk_of) as reader:
        await reader.type(block("python", "# shop/prices.py\nclass Price: ...\n"))
        await reader.type(block("python", "from shop.prices import Price as Same\nassert Same is Price\n"))
    assert Path("shop/prices.py").read_text(encoding="utf-8").startswith("# shop/prices.py\n")


@pytest.mark.parametrize(
    ("source", "complaint"),
    [
        ("$ false\n", "ended with 1"),
        ("$ true\nerror: no\n", "ended with 0"),
        ("$ echo two words\ntwo others\n", "says not what the page shows, but:\ntwo words"),
        ("$ jobqueue jobs show nobody\n", "ended with 1"),
        ("$ jobqueue worker --queue a:b\n", "has ended"),
    ],
)
async def test_a_command_that_does_something_else_than_is_shown_is_found(
    source: str, complaint: str, desk_of: DeskOf, jobqueue: Path
) -> None:
    with pytest.raises(AssertionError, match=complaint):
        async with Terminal(desk_of(PAGE), jobqueue) as terminal:
            await terminal.type(block("console", source))


async def test_what_a_command_sets_is_there_for_the_next(desk_of: DeskOf, jobqueue: Path) -> None:
    async with Terminal(desk_of(PAGE), jobqueue) as terminal:
        await terminal.type(block("console", "$ a=b\n$ cat <<END\n> $a\nEND\n> b\n"))


async def test_a_command_that_only_installs_has_no_worker_behind_it(desk_of: DeskOf, jobqueue: Path) -> None:
    desk = desk_of(PAGE)
    async with Terminal(desk, jobqueue) as terminal:
        await terminal.type(block("console", "$ pip install jobqueue\n"))
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", desk.port))
        await terminal.type(block("console", "$ jobqueue queue list\n"))
        socket.create_connection(("127.0.0.1", desk.port)).close()


def test_a_command_goes_on_where_it_is_not_whole() -> None:
    source = "$ curl -d '{\n  }' \\\n  address\n{}\n\n$ A=b jobqueue worker  # it's for ever\n"
    typed = commands_in(block("console", source))
    assert [(one.place, one.text, one.shown, one.server) for one in typed] == [
        ("docs/made-up.md:11", "curl -d '{\n  }' \\\n  address", ("{}",), None),
        ("docs/made-up.md:16", "A=b jobqueue worker  # it's for ever", (), "worker"),
    ]


@pytest.mark.parametrize(
    ("shown", "said", "is_so"),
    [
        ("job 1 is done", "job 27 is done\n", True),
        ("job 1 is done", "job one is done\n", False),
        ('{"id": "019b…", "ok": true}', '{"id": "0a1b2c3d", "ok": true}', True),
        ("NAME  NEXT\nx     2026-01-01", "NAME    NEXT   \nx       2027-11-12", True),
        ("first\n…\nlast", "first\nand\nsome\nlast", True),
        ("first\nlast", "first\nand\nlast", False),
    ],
)
def test_numbers_and_spaces_are_compared_by_their_shape(shown: str, said: str, is_so: bool) -> None:
    assert is_said(shown.splitlines(), said) == is_so


def test_blocks_are_found_with_their_lines(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "a\n\n```python\nx = 1\n```\n- b\n  ```sh\n  y\n    z\n  ```\n````text\n```\n````\n", encoding="utf-8"
    )
    assert [(one.line, one.language, one.source) for one in blocks_of(page)] == [
        (3, "python", "x = 1\n"),
        (7, "sh", "y\n  z\n"),
        (11, "text", "```\n"),
    ]
