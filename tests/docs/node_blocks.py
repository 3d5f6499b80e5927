"""Somebody who runs a page's JavaScript, each block as a module, with BullMQ at hand."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from tests.docs.desk import Desk
from tests.docs.pages import ROOT, Block

NODE_MODULES: Final = ROOT / "tests" / "interop" / "node_modules"
LONGEST_S: Final = 20.0
RUN: Final = """
await import(process.argv[2]);
// A worker would run for ever: it has a second for the jobs that the block has added.
setTimeout(() => process.exit(0), 1000).unref();
"""


async def run_in_node(desk: Desk, block: Block) -> None:
    """Raises: AssertionError with what Node said, where the block throws or leaves a rejection."""
    modules = desk.folder / "node_modules"
    if not modules.exists():
        modules.symlink_to(NODE_MODULES)
    desk.write(block)
    (desk.folder / "run.mjs").write_text(RUN, encoding="utf-8")
    status, said = await _node(desk, _file_of(desk, block))
    assert status == 0, f"{block.place}: Node ended with {status}:\n{said}"


def _file_of(desk: Desk, block: Block) -> Path:
    if block.file is not None:
        return desk.folder / block.file
    file = desk.folder / f"{desk.page.stem}.{block.line}.mjs"
    file.write_text("\n" * block.line + desk.here(block.source), encoding="utf-8")  # so that lines are the page's
    return file


async def _node(desk: Desk, file: Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        *("node", "run.mjs", str(file)),
        cwd=desk.folder,
        env=dict(desk.environment),
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(LONGEST_S):
            said, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return process.returncode, said.decode(errors="replace")
