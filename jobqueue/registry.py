"""Registry: name → handler, and what the handlers need opened."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias, cast

from jobqueue.context import Resources
from jobqueue.errors import DefinitionError, DuplicateHandler, SettingsError, UnknownHandler
from jobqueue.handler import Handler
from jobqueue.policy import Policy
from jobqueue.settings import PolicyOverrides, Settings

Lifespan: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[Resources]]
"""Opens what the handlers need when a worker starts, and closes it when the worker stops."""


class Registry:
    """The handlers of a service. Raises: DuplicateHandler."""

    def __init__(self, handlers: Iterable[Handler[Any]] = (), *, lifespan: Lifespan | None = None) -> None:
        self._by_name: dict[str, Handler[Any]] = {}
        self.lifespan = lifespan
        for handler in cast(Iterable[object], handlers):
            if not isinstance(handler, Handler):
                raise DefinitionError(f"{handler!r} is not a handler; wrap it with make_job")
            if handler.name in self._by_name:
                raise DuplicateHandler(handler.name)
            self._by_name[handler.name] = handler

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._by_name)

    def find(self, name: str) -> Handler[Any] | None:
        return self._by_name.get(name)

    def get(self, name: str) -> Handler[Any]:
        """Raises: UnknownHandler, naming those that there are."""
        handler = self._by_name.get(name)
        if handler is None:
            raise UnknownHandler(name, self.names)
        return handler

    def current(self, handler: Handler[Any]) -> Handler[Any]:
        """The registered handler of that name, which may carry a configured policy; else the one given."""
        return self._by_name.get(handler.name, handler)

    def __iter__(self) -> Iterator[Handler[Any]]:
        return iter(self._by_name.values())

    def __len__(self) -> int:
        return len(self._by_name)

    def configured(self, overrides: PolicyOverrides) -> Registry:
        """A copy whose policies carry the overrides, merged field by field.

        Raises: SettingsError, naming JOBS_CONFIG, the handler and the field.
        """
        unknown = sorted(overrides.handler_names - self._by_name.keys())
        if unknown:
            raise SettingsError("JOBS_CONFIG", f"[handlers.{unknown[0]}]: no handler has that name")
        _check("[defaults]", Policy(), overrides.defaults)
        for handler in self:
            _check(f"[handlers.{handler.name}]", handler.policy, overrides.for_handler(handler.name))
        handlers = [handler.with_policy(**overrides.merged(handler.name)) for handler in self]
        return Registry(handlers, lifespan=self.lifespan)


def _check(table: str, policy: Policy, changes: Mapping[str, Any]) -> None:
    """A file can hold neither exceptions nor functions, so `unrecoverable` is not its to change."""
    try:
        if "unrecoverable" in changes:
            raise DefinitionError("unrecoverable: belongs to the code")
        policy.replace(**changes)
    except DefinitionError as error:
        raise SettingsError("JOBS_CONFIG", f"{table} {error}") from error


def load_registry(location: str) -> Registry:
    """The registry that `module:attribute` names.

    Raises: SettingsError, naming JOBS_REGISTRY and the reason.
    """
    module_name, _, attribute = location.partition(":")
    try:
        module = importlib.import_module(module_name)
    except (Exception, SystemExit) as error:
        raise SettingsError("JOBS_REGISTRY", f"cannot import {module_name!r}: {error!r}") from error
    registry = getattr(module, attribute, None)
    if not isinstance(registry, Registry):
        what = "is missing" if registry is None else f"is not a Registry but {type(registry).__name__}"
        raise SettingsError("JOBS_REGISTRY", f"{location}: {attribute!r} {what}")
    return registry
