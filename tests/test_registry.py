"""The registry: name → handler, found from a location that a setting names."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jobqueue import DefinitionError, DuplicateHandler, Registry, SettingsError, UnknownHandler, make_job
from jobqueue.context import JobContext, Resources
from jobqueue.registry import load_registry


@make_job
async def send(ctx: JobContext) -> None: ...


@make_job
async def tidy(ctx: JobContext) -> None: ...


def test_a_registry_lists_its_handlers_in_order() -> None:
    registry = Registry([tidy, send])

    assert registry.names == ("tidy", "send")
    assert list(registry) == [tidy, send]
    assert len(registry) == 2


def test_a_registry_takes_any_iterable() -> None:
    assert Registry(handler for handler in (send, tidy)).names == ("send", "tidy")


def test_two_handlers_of_one_name_are_refused() -> None:
    other = make_job(tidy.function, name="send")

    with pytest.raises(DuplicateHandler, match="'send'"):
        Registry([send, other])


def test_an_unknown_name_is_answered_with_those_that_are_known() -> None:
    with pytest.raises(UnknownHandler, match=r"'sned' \(registered: send, tidy\)") as refused:
        Registry([send, tidy]).get("sned")

    assert refused.value.field == "handler"
    assert Registry([send]).find("sned") is None


def test_an_empty_registry_says_so() -> None:
    with pytest.raises(UnknownHandler, match="registered: none"):
        Registry().get("send")


@pytest.mark.parametrize("thing", [send.function, "send", None])
def test_a_function_without_its_wrapper_is_refused_by_name(thing: Any) -> None:
    """The forgotten decorator: it must not end in an AttributeError."""
    with pytest.raises(DefinitionError, match="make_job"):
        Registry([thing])


# Loading

WriteModule = Callable[[str], str]


@pytest.fixture
def write_module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> WriteModule:
    """Writes a module of this test's own and returns its name."""
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str) -> str:
        name = f"handlers_of_{tmp_path.name}"
        (tmp_path / f"{name}.py").write_text(text, encoding="utf-8")
        return name

    return write


def test_a_registry_is_loaded_from_its_location(write_module: WriteModule) -> None:
    name = write_module("from jobqueue import Registry\nregistry = Registry()\n")

    assert len(load_registry(f"{name}:registry")) == 0


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "'registry' is missing"),
        ("registry = 5", "is not a Registry but int"),
        ("import no_such_module", "cannot import .*no_such_module"),
        ("raise RuntimeError('no route')", "cannot import .*no route"),
        ("def", "cannot import .*SyntaxError"),
        ("raise SystemExit(3)", "cannot import .*SystemExit"),
    ],
)
def test_a_location_that_does_not_load_names_the_setting_and_the_reason(
    write_module: WriteModule, text: str, problem: str
) -> None:
    name = write_module(text)

    with pytest.raises(SettingsError, match=f"^JOBS_REGISTRY: .*{problem}"):
        load_registry(f"{name}:registry")


def test_a_module_that_is_not_there_names_the_setting() -> None:
    with pytest.raises(SettingsError, match=r"^JOBS_REGISTRY: cannot import 'no\.such\.module'"):
        load_registry("no.such.module:registry")


# Resources


class Database: ...


class Cache: ...


def test_a_resource_is_found_by_its_type() -> None:
    database = Database()

    assert Resources(database, Cache())[Database] is database


def test_a_missing_resource_is_answered_with_those_that_are_open() -> None:
    with pytest.raises(LookupError, match="no resource of type Database; the lifespan opened: Cache"):
        Resources(Cache())[Database]
    with pytest.raises(LookupError, match="the lifespan opened: nothing"):
        Resources()[Database]
