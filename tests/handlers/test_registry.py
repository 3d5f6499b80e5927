"""The registry of the handlers that come with jobqueue."""

from __future__ import annotations

import pkgutil
from importlib import import_module
from types import ModuleType
from typing import cast

import handlers
from handlers import registry
from jobqueue.handler import Handler

MODULES = [import_module(f"handlers.{found.name}") for found in pkgutil.iter_modules(handlers.__path__)]


def in_file(module: ModuleType) -> set[str]:
    """The names of the handlers that a file makes."""
    own = [cast("Handler[object]", value) for value in vars(module).values() if isinstance(value, Handler)]
    return {handler.name for handler in own if handler.function.__module__ == module.__name__}


def test_the_registry_has_every_handler_and_no_other() -> None:
    made = [name for module in MODULES for name in in_file(module)]

    assert sorted(made) == sorted(registry.names)


def test_each_handler_is_in_a_file_of_its_own_whose_first_line_begins_with_its_name() -> None:
    for module in MODULES:
        if made := in_file(module):
            assert made == {(module.__doc__ or "").partition(":")[0]}


def test_the_handlers_that_run_by_themselves_bring_their_patterns() -> None:
    seeded = {handler.name: handler.seeded_cron for handler in registry if handler.seeded_cron is not None}
    assert seeded == {
        "queueCleanup": "0 1 * * *",
        "queueInsights": "0 * * * *",
        "fileCleanup": "0 2 * * *",
        "cleanDeadArchives": "0 0 0 * * *",
        "sessionCleanup": "0 2 * * *",
        "cleanUnverifiedUsers": "0 0 0 * * *",
    }


def test_a_seeded_handler_takes_an_empty_payload_or_none() -> None:
    """Its row in the table has no other."""
    for handler in registry:
        if handler.seeded_cron is not None:
            handler.validate({} if handler.payload is not None else None)
