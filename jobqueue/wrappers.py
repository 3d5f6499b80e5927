"""Wrappers: make_job and its two brothers.

Each works bare (`@make_job`), with options (`@make_job(attempts=5)`) and as a plain call (`make_job(fn)`).
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from typing import Any, Protocol, TypeVar, Unpack, overload

from jobqueue.context import JobContext
from jobqueue.errors import DefinitionError
from jobqueue.handler import (
    Handler,
    OnBusy,
    Pattern,
    Plain,
    Singleton,
    Superseding,
    has_secrets,
    payload_adapter,
)
from jobqueue.policy import PayloadFunction, Policy, PolicyOptions

P = TypeVar("P")

_NAME = re.compile(r"[^\x00-\x1f\x7f:\ud800-\udfff]{1,200}")


class _Decorator(Protocol):
    """What a wrapper with options returns: it keeps the type of the payload."""

    @overload
    def __call__(self, function: Callable[[JobContext, P], Any], /) -> Handler[P]: ...
    @overload
    def __call__(self, function: Callable[[JobContext], Any], /) -> Handler[None]: ...


class _Options(PolicyOptions, total=False):
    name: str | None
    seeded_cron: str | None


@overload
def make_job(function: Callable[[JobContext, P], Any], /, **options: Unpack[_Options]) -> Handler[P]: ...
@overload
def make_job(function: Callable[[JobContext], Any], /, **options: Unpack[_Options]) -> Handler[None]: ...
@overload
def make_job(**options: Unpack[_Options]) -> _Decorator: ...
def make_job(function: Callable[..., Any] | None = None, /, **options: Unpack[_Options]) -> Any:
    """A plain handler: every job runs.

    With `seeded_cron` (here and in its brothers) the first worker that starts puts a cron job with that pattern, in
    UTC, into the table, once: what people make of the row stays. Raises: DefinitionError, naming the option or the
    function.
    """
    return _build(function, Plain(), options)


@overload
def make_singleton_job(
    function: Callable[[JobContext, P], Any],
    /,
    *,
    key: Callable[[P], str] | None = None,
    on_busy: OnBusy = "skip",
    **options: Unpack[_Options],
) -> Handler[P]: ...
@overload
def make_singleton_job(
    function: Callable[[JobContext], Any], /, *, on_busy: OnBusy = "skip", **options: Unpack[_Options]
) -> Handler[None]: ...
@overload
def make_singleton_job(
    *, key: PayloadFunction | None = None, on_busy: OnBusy = "skip", **options: Unpack[_Options]
) -> _Decorator: ...
def make_singleton_job(
    function: Callable[..., Any] | None = None,
    /,
    *,
    key: PayloadFunction | None = None,
    on_busy: OnBusy = "skip",
    **options: Unpack[_Options],
) -> Any:
    """A handler of which one run is active at a time, over all workers.

    `key` splits it by payload. Where the lock is taken, `on_busy` says whether the job completes as skipped or
    waits without using an attempt. Raises: DefinitionError.
    """
    return _build(function, Singleton(key=key, on_busy=on_busy), options)


@overload
def make_superseding_job(
    function: Callable[[JobContext, P], Any],
    /,
    *,
    dedupe_key: Callable[[P], str],
    **options: Unpack[_Options],
) -> Handler[P]: ...
@overload
def make_superseding_job(*, dedupe_key: PayloadFunction, **options: Unpack[_Options]) -> _Decorator: ...
def make_superseding_job(
    function: Callable[..., Any] | None = None,
    /,
    *,
    dedupe_key: PayloadFunction,
    **options: Unpack[_Options],
) -> Any:
    """A handler whose newer job stops the older one with the same `dedupe_key`.

    With `duplicates="reject"` it is the other way round: the older job stays, and the newer is refused.
    Raises: DefinitionError.
    """
    return _build(function, Superseding(dedupe_key), options)


def _build(function: Callable[..., Any] | None, pattern: Pattern, options: _Options) -> Any:
    if function is not None:
        return _handler(function, pattern, options)

    def decorate(decorated: Callable[..., Any]) -> Handler[Any]:
        return _handler(decorated, pattern, options)

    return decorate


def _handler(function: Callable[..., Any], pattern: Pattern, options: _Options) -> Handler[Any]:
    _check_function(function)
    policy_options: dict[str, Any] = dict(options)
    name, seeded_cron = policy_options.pop("name", None), policy_options.pop("seeded_cron", None)
    if name is None:
        name = getattr(function, "__name__", None)
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DefinitionError(f"name: must be 1 to 200 characters without ':' or control characters, not {name!r}")
    adapter, policy = payload_adapter(function), Policy().replace(**policy_options)
    if adapter is None and policy.concurrency is not None and policy.concurrency.by is not None:
        raise DefinitionError(f"concurrency: by: {name!r} takes no payload that could tell its jobs apart")
    return Handler(
        name=name,
        function=function,
        policy=policy,
        pattern=pattern,
        payload=adapter,
        has_secrets=has_secrets(adapter),
        seeded_cron=_checked_pattern(seeded_cron),
    )


def _checked_pattern(seeded_cron: object) -> str | None:
    if seeded_cron is None or isinstance(seeded_cron, str):
        return seeded_cron
    raise DefinitionError(f"seeded_cron: must be a cron pattern like '0 1 * * *', not {seeded_cron!r:.100}")


def _check_function(function: object) -> None:
    if not inspect.isroutine(function):
        raise DefinitionError(f"{function!r} is not a function; a job's name is given as name=")
    if inspect.isasyncgenfunction(function) or inspect.isgeneratorfunction(function):
        raise DefinitionError(f"{function.__qualname__} is a generator function; a handler returns its result")


makeJob = make_job
makeSingletonJob = make_singleton_job
makeSupersedingJob = make_superseding_job
