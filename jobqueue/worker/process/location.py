"""Location: the name by which another process finds a function or a class, and the finding."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any, Final, NamedTuple, cast

from jobqueue.errors import DefinitionError
from jobqueue.handler import Handler
from jobqueue.wrappers import make_job

MAIN: Final = "__main__"
MAIN_AGAIN: Final = "__jobqueue_main__"
"""What the worker's script is called in a child, so that its `if __name__ == "__main__"` does not hold there."""


class Location(NamedTuple):
    """Where a function is: its module, the path inside that, and the file where the module is a script."""

    module: str
    path: str
    script: str | None = None


def check_importable(handler: Handler[Any]) -> None:
    """Raises: DefinitionError where a child could not find the handler's function, saying why."""
    location_of(handler)


def location_of(handler: Handler[Any]) -> Location:
    """Raises: DefinitionError where a child could not find the handler's function, saying why."""
    module_name, path = str(handler.function.__module__), str(handler.function.__qualname__)
    if path.endswith("<lambda>"):
        raise _unfit(handler, path, "is a lambda")
    if "<locals>" in path:
        raise _unfit(handler, path, "is defined inside another function")
    if not _is_of(handler, _walk(sys.modules.get(module_name), path)):
        raise _unfit(handler, path, f"is not what {module_name} has under that name")
    return _in_main(handler, path) if module_name == MAIN else Location(module_name, path)


def _is_of(handler: Handler[Any], found: object) -> bool:
    """True for the handler's function, and for a handler that has it: where the wrapper was a decorator."""
    return found is handler.function or (isinstance(found, Handler) and found.function is handler.function)


def _in_main(handler: Handler[Any], path: str) -> Location:
    """A module that was started by `python -m` goes by its name, a script by its file."""
    main = sys.modules[MAIN]
    if main.__spec__ is not None:
        if main.__spec__.name.rpartition(".")[2] == MAIN:
            raise _unfit(handler, path, "is defined in the __main__ of a package or an archive")
        return Location(main.__spec__.name, path)
    file: str | None = getattr(main, "__file__", None)
    if file is None:
        raise _unfit(handler, path, "is defined in a __main__ that is no file")
    return Location(MAIN, path, str(Path(file).resolve()))


def _unfit(handler: Handler[Any], path: str, problem: str) -> DefinitionError:
    return DefinitionError(
        f"run_in: handler {handler.name!r} cannot run in a process, which imports its function: {path} {problem}; "
        "define it at the top of a module"
    )


# In the other process


@cache
def load(location: Location) -> Handler[Any]:
    """Import the handler; a bare function becomes one.

    Raises: what the import raises; DefinitionError where the module has no such function.
    """
    module = importlib.import_module(location.module) if location.script is None else _main_again(location.script)
    found = _walk(module, location.path)
    if callable(found):
        return make_job(found, name="job")
    if isinstance(found, Handler):
        handler: Handler[Any] = cast(Any, found)
        return handler
    raise DefinitionError(f"{location.module} has no function {location.path} in this process")


def _main_again(script: str) -> ModuleType:
    """The worker's script, run a second time as a module."""
    loaded = sys.modules.get(MAIN_AGAIN)
    if loaded is not None:
        return loaded
    spec = importlib.util.spec_from_file_location(MAIN_AGAIN, script)
    if spec is None or spec.loader is None:
        raise DefinitionError(f"{script} is no Python file that can be imported")
    module = importlib.util.module_from_spec(spec)
    sys.modules[MAIN_AGAIN] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[MAIN_AGAIN]
        raise
    return module


# Names


def name_of(kind: type[BaseException]) -> str:
    """`module:path` of an error's class, as the other process knows it."""
    return f"{module_of(kind)}:{kind.__qualname__}"


def module_of(named: Callable[..., Any]) -> str:
    """The module of a class or a function, as the worker knows it."""
    name = str(named.__module__)
    return MAIN if name == MAIN_AGAIN else name


def class_here(name: str) -> type[BaseException] | None:
    """The class of an error by that name, where its module is loaded in this process."""
    module_name, _, path = name.partition(":")
    found = _walk(_module_here(module_name), path)
    return found if isinstance(found, type) and issubclass(found, BaseException) else None


def handler_here(module_name: str, name: str) -> Handler[Any] | None:
    """The handler of that name which the module holds, where it is loaded in this process."""
    module = _module_here(module_name)
    held: list[object] = [] if module is None else list(vars(module).values())
    handlers: list[Handler[Any]] = [cast(Any, one) for one in held if isinstance(one, Handler)]
    return next((handler for handler in handlers if handler.name == name), None)


def _module_here(name: str) -> ModuleType | None:
    """A child knows the module that the worker was started with by another name."""
    if name == MAIN and MAIN_AGAIN in sys.modules:
        return sys.modules[MAIN_AGAIN]
    spec = sys.modules[MAIN].__spec__
    return sys.modules.get(MAIN if spec is not None and spec.name == name else name)


def _walk(module: ModuleType | None, path: str) -> object:
    """What is at the path; None where nothing is."""
    found: object = module
    for part in path.split("."):
        found = getattr(found, part, None)
    return found
