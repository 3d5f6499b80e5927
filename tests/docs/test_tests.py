"""The tests that pages show are run by pytest, as their readers run them."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

from tests.docs.conftest import DeskOf
from tests.docs.languages import CODE
from tests.docs.pages import PAGES, Block, all_blocks, blocks_of, name_of

PLUGINS = ("no:cacheprovider", "pytest_asyncio.plugin", "pytest_jobqueue")
"""What a reader has installed; here are others beside, which are none of the page's business."""
PYTHON = [block for block in all_blocks() if CODE.get(block.language) == "python"]


def has_tests(block: Block) -> bool:
    return any(
        isinstance(one, ast.FunctionDef | ast.AsyncFunctionDef) and one.name.startswith("test_")
        for one in ast.parse(block.source).body
    )


def is_test_file(block: Block) -> bool:
    return block.file is not None and Path(block.file).name.startswith("test_")


TESTED = [page for page in PAGES if any(block.page == page and has_tests(block) for block in PYTHON)]


@pytest.mark.timeout(120)  # a process that imports everything, on a machine that may be busy
@pytest.mark.parametrize("page", TESTED, ids=name_of)
def test_the_tests_of_a_page_pass(page: Path, desk_of: DeskOf) -> None:
    desk = desk_of(page)
    for block in blocks_of(page):
        desk.write(block)

    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *(word for plugin in PLUGINS for word in ("-p", plugin))],
        cwd=desk.folder,
        env={**desk.environment, "PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_a_test_on_a_page_is_in_a_file_of_tests() -> None:
    """Else nobody runs it: typed into a program, it is only defined."""
    assert not [block.place for block in PYTHON if has_tests(block) and not is_test_file(block)]
