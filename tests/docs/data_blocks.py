"""Blocks of data: each is read by what is meant to read it."""

from __future__ import annotations

import configparser
import importlib
import json
import tomllib
from collections.abc import Callable
from typing import Final, Protocol, cast

from jobqueue import JobContext, Registry, Settings
from jobqueue.handler import Handler
from jobqueue.settings import PolicyOverrides
from jobqueue.wrappers import make_job
from tests.docs.pages import Block


class _Yaml(Protocol):
    """The part of PyYAML that is used here; it ships no types."""

    def safe_load_all(self, text: str) -> object: ...


def read(block: Block) -> None:
    """Raises: what the reader of that language raises."""
    READERS[block.language](block.source)


def read_json(source: str) -> None:
    json.loads(source)


def read_toml(source: str) -> None:
    """One that is a JOBS_CONFIG must be taken as such, too."""
    document = tomllib.loads(source)
    if document.keys() <= {"defaults", "handlers"}:
        overrides = PolicyOverrides.from_document(document)
        Registry(_handler(name) for name in overrides.handler_names).configured(overrides)


def read_yaml(source: str) -> None:
    yaml = cast(_Yaml, importlib.import_module("yaml"))
    list(cast("list[object]", yaml.safe_load_all(source)))


def read_ini(source: str) -> None:
    """A unit of systemd names some keys twice."""
    parser = configparser.RawConfigParser(strict=False)
    parser.read_string(source)


def read_env(source: str) -> None:
    """Variables, a line each; those that are settings must be valid."""
    lines = [line for line in source.splitlines() if line and not line.startswith("#")]
    assert all("=" in line for line in lines), f"not all of these lines are NAME=value: {lines}"
    values = {name.lower(): value for name, _, value in (line.partition("=") for line in lines)}
    Settings.load(**{name: value for name, value in values.items() if name in Settings.model_fields})


def _handler(name: str) -> Handler[None]:
    async def any_handler(ctx: JobContext) -> None: ...

    return make_job(any_handler, name=name)


READERS: Final[dict[str, Callable[[str], None]]] = {
    "json": read_json,
    "toml": read_toml,
    "yaml": read_yaml,
    "yml": read_yaml,
    "ini": read_ini,
    "env": read_env,
}
