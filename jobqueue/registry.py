"""Registry: name → handler, and what the handlers need opened."""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Any, TypeAlias, cast
from weakref import WeakSet

from jobqueue.context import Resources
from jobqueue.errors import DefinitionError, DuplicateHandler, SettingsError, UnknownHandler, UnknownHandlerId
from jobqueue.handler import Handler
from jobqueue.policy import Policy
from jobqueue.settings import PolicyOverrides, Settings

Lifespan: TypeAlias = Callable[[Settings], AbstractAsyncContextManager[Resources]]
"""Opens what the handlers need when a worker starts, and closes it when the worker stops."""


class Registry:
    """The handlers of a service, which may change while workers run. Raises: as `add`.

    An App looks at it through a view that carries the policies of JOBS_CONFIG: what is added or removed here is added
    or removed there, and the other way round. Concurrency: on the event loop only.
    """

    def __init__(self, handlers: Iterable[Handler[Any]] = (), *, lifespan: Lifespan | None = None) -> None:
        self.lifespan = lifespan
        self._by_name: dict[str, Handler[Any]] = {}
        self._names_by_id: dict[str, str] = {}
        self._numbers = itertools.count(1)
        self._views: WeakSet[Registry] = WeakSet()
        for handler in handlers:
            self.add(handler)

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
        return iter(tuple(self._by_name.values()))

    def __len__(self) -> int:
        return len(self._by_name)

    def add(self, handler: Handler[Any]) -> str:
        """Let workers run jobs of this handler from now on; returns the id of this addition, for `remove`.

        Raises: DuplicateHandler; DefinitionError for what is no handler.
        """
        if not isinstance(cast(object, handler), Handler):
            raise DefinitionError(f"{handler!r} is not a handler; wrap it with make_job")
        if handler.name in self._by_name:
            raise DuplicateHandler(handler.name)
        handler_id = f"{handler.name}:{next(self._numbers)}"
        self._names_by_id[handler_id] = handler.name
        self._put(handler)
        return handler_id

    def remove(self, handler_id: str) -> None:
        """Let no further job of that handler start; one that runs goes on to its end, with its record.

        A job that is claimed later fails as one of an unknown handler. Raises: UnknownHandlerId.
        """
        name = self._names_by_id.pop(handler_id, None)
        if name is None:
            raise UnknownHandlerId(handler_id)
        self._take_out(name)

    def _put(self, handler: Handler[Any]) -> None:
        self._by_name[handler.name] = handler
        for view in self._views:
            view._put(handler)

    def _take_out(self, name: str) -> None:
        del self._by_name[name]
        for view in self._views:
            view._take_out(name)

    def configured(self, overrides: PolicyOverrides) -> Registry:
        """A view whose policies carry the overrides, merged field by field.

        Raises: SettingsError, naming JOBS_CONFIG, the handler and the field.
        """
        unknown = sorted(overrides.handler_names - self._by_name.keys())
        if unknown:
            raise SettingsError("JOBS_CONFIG", f"[handlers.{unknown[0]}]: no handler has that name")
        _check("[defaults]", Policy(), overrides.defaults)
        view = _ConfiguredRegistry(self, overrides)
        self._views.add(view)
        return view


class _ConfiguredRegistry(Registry):
    """A registry as one App sees it. It holds copies of the handlers, so that finding one is a single look."""

    def __init__(self, source: Registry, overrides: PolicyOverrides) -> None:
        super().__init__(lifespan=source.lifespan)
        self._source = source
        self._overrides = overrides
        for handler in source:
            self._put(handler)

    def add(self, handler: Handler[Any]) -> str:
        return self._source.add(handler)

    def remove(self, handler_id: str) -> None:
        self._source.remove(handler_id)

    def _put(self, handler: Handler[Any]) -> None:
        """Raises: SettingsError; only while the view is made, since the overrides fit any handler or none."""
        _check(f"[handlers.{handler.name}]", handler.policy, self._overrides.for_handler(handler.name))
        super()._put(handler.with_policy(**self._overrides.merged(handler.name)))


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
