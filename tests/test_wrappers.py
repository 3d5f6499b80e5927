"""make_job and its brothers: bare, with options, as a call; and the definitions that they refuse."""

from __future__ import annotations

import functools
import json
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import jobqueue
from jobqueue import (
    DefinitionError,
    Handler,
    Settings,
    make_job,
    make_singleton_job,
    make_superseding_job,
    makeJob,
    makeSingletonJob,
    makeSupersedingJob,
)
from jobqueue.context import JobContext
from jobqueue.handler import Plain, Singleton, Superseding
from jobqueue.policy import Limit, RateLimit

PROJECT = Path(__file__).parents[1]


async def send(ctx: JobContext, payload: str) -> None: ...


def by_payload(payload: str) -> str:
    return payload


# The three ways


def test_a_wrapper_works_bare() -> None:
    @make_job
    async def send_mail(ctx: JobContext, payload: str) -> None: ...

    assert isinstance(send_mail, Handler)
    assert send_mail.name == "send_mail"
    assert isinstance(send_mail.pattern, Plain)


def test_a_wrapper_works_with_options() -> None:
    @make_job(name="sendWebhook", attempts=5, backoff=10, unrecoverable=(KeyError,))
    async def deliver(ctx: JobContext, payload: str) -> None: ...

    assert (deliver.name, deliver.policy.attempts) == ("sendWebhook", 5)
    assert deliver.policy.unrecoverable == (KeyError,)


def test_a_wrapper_works_with_empty_parentheses() -> None:
    @make_job()
    async def tidy(ctx: JobContext) -> None: ...

    assert (tidy.name, tidy.payload) == ("tidy", None)


def test_a_wrapper_works_as_a_plain_call() -> None:
    assert make_job(send).name == "send"
    assert make_job(send, name="other", attempts=1).name == "other"


def test_a_handler_keeps_its_function() -> None:
    assert make_job(send).function is send


def test_a_singleton_works_in_the_three_ways() -> None:
    @make_singleton_job
    async def bare(ctx: JobContext) -> None: ...

    @make_singleton_job(on_busy="wait", key=by_payload, attempts=2)
    async def with_options(ctx: JobContext, payload: str) -> None: ...

    called = make_singleton_job(send, key=by_payload)

    assert bare.pattern == Singleton(None, "skip")
    assert with_options.pattern == Singleton(by_payload, "wait")
    assert with_options.policy.attempts == 2
    assert called.pattern == Singleton(by_payload, "skip")


def test_a_superseding_job_works_with_options_and_as_a_call() -> None:
    @make_superseding_job(name="sync", dedupe_key=by_payload)
    async def sync_data(ctx: JobContext, payload: str) -> None: ...

    assert (sync_data.name, sync_data.pattern) == ("sync", Superseding(by_payload))
    assert make_superseding_job(send, dedupe_key=by_payload).pattern == Superseding(by_payload)


def test_every_pattern_takes_limits_and_rules_for_duplicates_and_order() -> None:
    handlers = [
        make_job(send, concurrency=2, rate_limit=(10, 1_000), duplicates="reject", ordered=True),
        make_singleton_job(send, concurrency=2, rate_limit=(10, 1_000), duplicates="reject", ordered=True),
        make_superseding_job(
            send, dedupe_key=by_payload, concurrency=2, rate_limit=(10, 1_000), duplicates="reject", ordered=True
        ),
    ]

    for policy in (handler.policy for handler in handlers):
        assert (policy.concurrency, policy.rate_limit) == (Limit(2), RateLimit(10, 1_000))
        assert (policy.duplicates, policy.ordered) == ("reject", True)


def test_the_camel_case_names_are_the_same_functions() -> None:
    assert makeJob is make_job
    assert makeSingletonJob is make_singleton_job
    assert makeSupersedingJob is make_superseding_job
    assert jobqueue.enqueueJob is jobqueue.enqueue_job


def test_a_def_handler_is_told_from_an_async_one() -> None:
    def in_a_thread(ctx: JobContext) -> None: ...

    assert make_job(send).is_async
    assert not make_job(in_a_thread).is_async


def test_a_wrapped_async_function_is_still_async() -> None:
    @functools.wraps(send)
    async def logged(ctx: JobContext, payload: str) -> None:
        await send(ctx, payload)

    handler = make_job(logged)

    assert (handler.name, handler.is_async) == ("send", True)
    assert handler.payload is not None


# What is refused


@pytest.mark.parametrize("name", ["", "a:b", "line\nbreak", "x" * 201, "\x00", "\x7f", "lone \ud800 surrogate"])
def test_a_name_that_cannot_be_a_key_is_refused(name: str) -> None:
    with pytest.raises(DefinitionError, match=r"^name: "):
        make_job(send, name=name)


@pytest.mark.parametrize("name", ["send mail", "ünïcode", "a.b/c-d", "x" * 200, "42"])
def test_any_other_name_is_taken_as_it_stands(name: str) -> None:
    assert make_job(send, name=name).name == name


def make_any(function: Any, **options: Any) -> Any:
    """`make_job` without its types, as a user without a type checker calls it."""
    untyped: Callable[..., Any] = make_job
    return untyped(function, **options)


async def takes_nothing() -> None: ...
async def takes_three(ctx: JobContext, payload: str, more: str) -> None: ...
async def takes_any_number(*arguments: str) -> None: ...
async def takes_a_keyword(ctx: JobContext, payload: str, *, more: str) -> None: ...
async def lacks_an_annotation(ctx: JobContext, payload: str) -> None: ...
async def looks_forward(ctx: JobContext, payload: str) -> None: ...


class NotAPayload:
    """Nothing that pydantic knows."""


async def takes_a_class(ctx: JobContext, payload: NotAPayload) -> None: ...


del lacks_an_annotation.__annotations__["payload"]
looks_forward.__annotations__["payload"] = "Nowhere"


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (takes_nothing, r"takes_nothing: a handler takes \(ctx\) or \(ctx, payload\)"),
        (takes_three, "takes_three: a handler takes"),
        (takes_any_number, "takes_any_number: a handler takes"),
        (takes_a_keyword, "takes_a_keyword: a handler takes"),
        (lacks_an_annotation, "lacks_an_annotation: the payload 'payload' needs a type annotation"),
        (looks_forward, "looks_forward: the annotation of 'payload' cannot be read: .*Nowhere"),
        (takes_a_class, "takes_a_class: .*NotAPayload.* is not a payload type"),
    ],
)
def test_a_function_that_cannot_be_a_handler_is_named(function: Any, problem: str) -> None:
    with pytest.raises(DefinitionError, match=problem):
        make_any(function)


@pytest.mark.parametrize("thing", [5, "sendWebhook", object(), [send]])
def test_what_is_no_function_is_refused_and_shown(thing: Any) -> None:
    """`@make_job("sendWebhook")` is the likely slip; it must not be told that its name is None."""
    with pytest.raises(DefinitionError, match="function"):
        make_any(thing)
    with pytest.raises(DefinitionError, match="function"):
        make_any(thing, name="named")


def test_a_handler_cannot_be_wrapped_again() -> None:
    with pytest.raises(DefinitionError, match="function"):
        make_any(make_job(send))


def test_an_async_generator_is_refused() -> None:
    """It would run in a thread, do nothing, and fail as a result that is no JSON."""

    async def pages(ctx: JobContext) -> AsyncIterator[int]:
        yield 1

    with pytest.raises(DefinitionError, match="generator"):
        make_job(pages)


class Deliver:
    """An object that can be called, as dependency injection likes them."""

    async def __call__(self, ctx: JobContext, payload: str) -> None: ...

    async def method(self, ctx: JobContext, payload: str) -> None: ...


def test_a_bound_method_is_a_handler() -> None:
    handler = make_job(Deliver().method)

    assert (handler.name, handler.is_async) == ("method", True)
    assert handler.payload is not None


def test_a_callable_object_and_a_partial_are_refused() -> None:
    """Taken wrongly they would run in a thread and leave a coroutine that nobody awaits."""

    def with_prefix(prefix: str, ctx: JobContext, payload: str) -> None: ...

    for function in (Deliver(), functools.partial(with_prefix, "x"), functools.partial(send)):
        with pytest.raises(DefinitionError, match="function"):
            make_any(function, name="deliver")


@pytest.mark.parametrize("option", ["retries", "limit", "timeout", "order_key", "related", "max_claim", ""])
def test_an_option_that_is_not_there_is_refused_not_ignored(option: str) -> None:
    with pytest.raises(DefinitionError, match=f"^{option}: is not an option"):
        make_any(send, **{option: 1})


@pytest.mark.parametrize(
    ("option", "value"),
    [
        *(("duplicates", "drop"), ("ordered", "yes"), ("ack", "late"), ("run_in", "thread")),
        *(("concurrency", 0), ("rate_limit", (0, 1_000)), ("rate_limit", 10)),
    ],
)
def test_an_option_out_of_range_is_refused_when_the_handler_is_made(option: str, value: Any) -> None:
    with pytest.raises(DefinitionError, match=f"^{option}: .*not {re.escape(repr(value))}"):
        make_any(send, **{option: value})


@pytest.mark.parametrize("on_busy", ["drop", "", None, True])
def test_on_busy_is_skip_or_wait(on_busy: Any) -> None:
    with pytest.raises(DefinitionError, match=r"^on_busy: "):
        make_singleton_job(send, on_busy=on_busy)


async def key_in_a_while(payload: str) -> str:
    return payload


@pytest.mark.parametrize("key", ["sync", 5, {}, key_in_a_while])
def test_a_key_is_a_function(key: Any) -> None:
    with pytest.raises(DefinitionError, match=r"^key: "):
        make_singleton_job(send, key=key)
    with pytest.raises(DefinitionError, match=r"^dedupe_key: "):
        make_superseding_job(send, dedupe_key=key)


# Nothing happens on import

WATCHES_AN_IMPORT = """
import json, os, sys, threading

class Watched(dict):
    asked = set()
    def __getitem__(self, name): self.asked.add(name); return super().__getitem__(name)
    def get(self, name, default=None): self.asked.add(name); return super().get(name, default)
    def __contains__(self, name): self.asked.add(name); return super().__contains__(name)

opened = []
sys.addaudithook(lambda event, _: opened.append(event) if event.startswith("socket.") else None)
os.environ = Watched(os.environ)
import jobqueue
print(json.dumps({
    "opened": [event for event in opened if event != "socket.gethostname"],
    "threads": threading.active_count(),
    "asked": sorted(Watched.asked),
    "loop": "_running" in vars(sys.modules["asyncio"]),
}))
"""


def test_importing_the_library_opens_nothing_starts_nothing_and_reads_no_setting() -> None:
    run = subprocess.run(
        [sys.executable, "-c", WATCHES_AN_IMPORT], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    seen = json.loads(run.stdout)

    assert seen["opened"] == []
    assert seen["threads"] == 1
    assert not set(seen["asked"]) & {name.upper() for name in Settings.model_fields}
