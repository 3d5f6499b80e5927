"""A registry that changes while workers run: what is added is found, what is removed runs no further job."""

from __future__ import annotations

import gc
import weakref
from pathlib import Path
from typing import Any

import pytest

from jobqueue import App, DefinitionError, DuplicateHandler, Registry, UnknownHandler, make_job
from jobqueue.context import JobContext
from jobqueue.errors import UnknownHandlerId
from jobqueue.handler import Handler
from jobqueue.settings import PolicyOverrides
from tests.conftest import MakeSettings


@make_job(attempts=9)
async def send(ctx: JobContext) -> None: ...


@make_job
async def tidy(ctx: JobContext) -> None: ...


def named_send() -> Handler[None]:
    return make_job(tidy.function, name="send")


def test_an_added_handler_is_found_and_a_removed_one_is_not() -> None:
    registry = Registry([tidy])

    send_id = registry.add(send)
    assert (registry.find("send"), registry.names) == (send, ("tidy", "send"))

    registry.remove(send_id)
    assert (registry.find("send"), registry.names) == (None, ("tidy",))
    with pytest.raises(UnknownHandler, match="registered: tidy"):
        registry.get("send")


def test_each_addition_has_an_id_of_its_own() -> None:
    registry = Registry()

    first = registry.add(send)
    registry.remove(first)
    second = registry.add(send)

    assert first != second
    with pytest.raises(UnknownHandlerId):
        registry.remove(first)
    assert registry.find("send") is send


def test_an_added_handler_of_a_name_that_is_taken_is_refused_and_changes_nothing() -> None:
    registry = Registry([send])

    with pytest.raises(DuplicateHandler, match="'send'"):
        registry.add(named_send())

    assert list(registry) == [send]


def test_the_name_of_a_removed_handler_is_free_again() -> None:
    registry = Registry()
    registry.remove(registry.add(send))

    other = named_send()
    registry.add(other)

    assert registry.get("send") is other


@pytest.mark.parametrize("handler_id", ["", "send", "send:7", "tidy:1", None, 5], ids=repr)
def test_an_id_that_nothing_was_added_under_is_named(handler_id: Any) -> None:
    registry = Registry()
    registry.add(send)

    with pytest.raises(UnknownHandlerId, match=f"no handler has the id {handler_id!r}"):
        registry.remove(handler_id)

    assert registry.names == ("send",)


@pytest.mark.parametrize("thing", [send.function, "send", None])
def test_what_is_no_handler_cannot_be_added(thing: Any) -> None:
    with pytest.raises(DefinitionError, match="make_job"):
        Registry().add(thing)


def test_a_registry_may_change_while_somebody_goes_through_it() -> None:
    registry = Registry()
    added = [registry.add(send), registry.add(tidy)]

    for _, handler_id in zip(registry, added, strict=True):
        registry.remove(handler_id)

    assert len(registry) == 0


# Views with a configuration


def test_what_is_added_to_the_service_s_registry_is_found_in_the_app_s(settings: MakeSettings) -> None:
    registry = Registry([tidy])
    app = App(registry, settings())

    send_id = registry.add(send)
    assert app.registry.get("send").function is send.function

    registry.remove(send_id)
    assert app.registry.names == ("tidy",)


def test_an_empty_registry_can_be_filled_after_the_app_is_made(settings: MakeSettings) -> None:
    registry = Registry()
    app = App(registry, settings())

    registry.add(send)

    assert app.registry.names == ("send",)


def test_what_is_added_to_the_app_s_registry_is_found_in_the_service_s_and_every_other_app_s(
    settings: MakeSettings,
) -> None:
    registry = Registry([tidy])
    app, other = App(registry, settings()), App(registry, settings())

    send_id = app.registry.add(send)
    assert (registry.get("send"), other.registry.names) == (send, ("tidy", "send"))

    other.registry.remove(send_id)
    assert (app.registry.names, registry.names) == (("tidy",), ("tidy",))


def test_an_added_handler_carries_the_defaults_of_the_configuration(settings: MakeSettings, tmp_path: Path) -> None:
    file = tmp_path / "jobs.toml"
    file.write_text("[defaults]\ngrace_ms = 7\n[handlers.tidy]\ngrace_ms = 8\n", encoding="utf-8")
    registry = Registry([tidy])
    app = App(registry, settings(jobs_config=file))

    registry.add(send)

    assert (app.registry.get("send").policy.grace_ms, app.registry.get("tidy").policy.grace_ms) == (7, 8)
    assert app.registry.get("send").policy.attempts == 9
    assert registry.get("send") is send, "the service's own handler keeps its policy"


def test_a_handler_that_is_added_again_is_configured_as_before(settings: MakeSettings, tmp_path: Path) -> None:
    file = tmp_path / "jobs.toml"
    file.write_text("[handlers.send]\nattempts = 2\n", encoding="utf-8")
    registry = Registry()
    send_id = registry.add(send)
    app = App(registry, settings(jobs_config=file))

    registry.remove(send_id)
    registry.add(send)

    assert app.registry.get("send").policy.attempts == 2


def test_a_view_of_a_view_follows_too() -> None:
    registry = Registry()
    view = registry.configured(PolicyOverrides({"grace_ms": 7}, {}))
    second = view.configured(PolicyOverrides({"priority": 3}, {}))

    send_id = second.add(send)
    policy = second.get("send").policy
    assert (policy.grace_ms, policy.priority, policy.attempts) == (7, 3, 9)
    assert view.get("send").policy.priority == 0

    registry.remove(send_id)
    assert (view.names, second.names) == ((), ())


def test_a_registry_does_not_keep_its_views_alive() -> None:
    """A service's registry outlives its apps, in tests above all."""
    registry = Registry()
    view = weakref.ref(registry.configured(PolicyOverrides({}, {})))

    gc.collect()

    assert view() is None
