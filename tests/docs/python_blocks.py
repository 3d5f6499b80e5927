"""Somebody who types a page's Python into one program, a statement after another."""

from __future__ import annotations

import ast
import importlib.util
import inspect
import sys
from contextlib import suppress
from types import CodeType, FunctionType, ModuleType, TracebackType
from typing import Self

from handlers.webhooks.watching import Watch
from jobqueue import App
from tests.docs.behind import Behind
from tests.docs.desk import Desk
from tests.docs.imported import forget
from tests.docs.pages import ROOT, Block, name_of

_AWAITING = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


class Reader:
    """The namespace of a page. A block that begins with a path is that module, and its names are known from then on.

    Errors say where on the page they come from: lines are numbered as the page has them.
    """

    def __init__(self, desk: Desk, behind: Behind) -> None:
        self._desk = desk
        self._behind = behind
        self._page = _module(f"page_{desk.page.stem.replace('-', '_')}")
        self._before = frozenset(sys.modules)
        if desk.given is not None:
            public = {name: value for name, value in vars(desk.given).items() if not name.startswith("_")}
            vars(self._page).update(public)

    async def __aenter__(self) -> Self:
        sys.modules[self._page.__name__] = self._page
        await self._behind.follow(vars(self._page))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            for one in list(vars(self._page).values()):
                if isinstance(one, App):
                    await one.close()
                elif isinstance(one, Watch):
                    one.stop()
        finally:
            sys.modules.pop(self._page.__name__, None)
            forget(self._desk.folder)

    async def type(self, block: Block) -> None:
        """Raises: what the block raises, with a note of its place."""
        self._desk.write(block)
        module = self._module_of(block)
        try:
            for statement in _statements(block, self._desk.here(block.source)):
                ended = FunctionType(statement, vars(module))()
                if inspect.isawaitable(ended):
                    await ended
                if module is not self._page:
                    vars(self._page).update(_public(module))
                await self._behind.follow(vars(self._page))
        except BaseException as error:
            error.add_note(f"in the block at {block.place}")
            raise

    def _module_of(self, block: Block) -> ModuleType:
        """The page itself, or the module that the block is the file of."""
        if block.file is None:
            return self._page
        parts = block.file.removesuffix(".py").removesuffix("/__init__").split("/")
        if parts[0] in self._before:  # a page's own `tests` is not this one
            return _module(f"{self._page.__name__}.{parts[-1]}", block.file)
        with suppress(ModuleNotFoundError):  # a folder is a package, also without an `__init__.py`
            importlib.util.find_spec(".".join(parts))
        module = _module(".".join(parts), str(self._desk.folder / block.file))
        sys.modules[module.__name__] = module
        return module


def _module(name: str, file: str | None = None) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = file
    return module


def _public(module: ModuleType) -> dict[str, object]:
    return {name: value for name, value in vars(module).items() if not name.startswith("__")}


def _statements(block: Block, source: str) -> list[CodeType]:
    """Each statement by itself: what it defines is registered before the next one runs."""
    page = str(ROOT / name_of(block.page))
    tree = ast.parse(source, page)
    ast.increment_lineno(tree, block.line)
    flags = _AWAITING | (annotations.compiler_flag if _has_text_annotations(tree) else 0)
    return [compile(ast.Module([statement], []), page, "exec", flags, dont_inherit=True) for statement in tree.body]


def _has_text_annotations(tree: ast.Module) -> bool:
    return any(isinstance(one, ast.ImportFrom) and one.module == "__future__" for one in tree.body)
