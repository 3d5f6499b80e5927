"""What the product is built on is declared, bounded, free for all to use, and listed with its reason."""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib import metadata
from typing import Any, Final

import pytest
from packaging.requirements import Requirement

from tests.security.source import PACKAGES, ROOT, sources

PROJECT: Final[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
DOCUMENT: Final = (ROOT / "docs" / "security.md").read_text(encoding="utf-8")
AT_RUN_TIME: Final = ("embedded", "postgres", "images", "s3", "otel", "prometheus")
"""The extras that a service may install; the others are for working on the project."""
COMES_WITH: Final = {"pydantic_core": "pydantic", "opentelemetry": "opentelemetry-sdk"}
"""Modules of a distribution that a declared one pins exactly."""
NOT_OF_A_SERVICE: Final = ("jobqueue/bench/peers/", "jobqueue/testing/plugin.py", "jobqueue/testing/asyncio_plugin.py")
"""Programs in environments of their own, and what only pytest imports."""
PERMISSIVE: Final = re.compile(
    r"(\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Unlicense|Zlib|0BSD)\b|^MIT|3-Clause|2-Clause)",
    re.IGNORECASE,
)


def declared() -> Iterator[Requirement]:
    """What a service installs, with every extra that it may want."""
    extras: dict[str, list[str]] = PROJECT["optional-dependencies"]
    yield from map(Requirement, PROJECT["dependencies"])
    yield from (Requirement(one) for extra in AT_RUN_TIME for one in extras[extra])


NAMES: Final = sorted({requirement.name for requirement in declared()})


def imported() -> Iterator[tuple[str, str]]:
    """Each module from elsewhere, by its first name, and where it is imported."""
    for source in sources():
        if source.name.startswith(NOT_OF_A_SERVICE):
            continue
        for node in ast.walk(source.tree):
            match node:
                case ast.Import(names=names):
                    modules = [one.name for one in names]
                case ast.ImportFrom(module=str(module), level=0):
                    modules = [module]
                case _:
                    continue
            for name in {module.partition(".")[0] for module in modules}:
                if name not in sys.stdlib_module_names and name not in PACKAGES:
                    yield name, source.at(node)


def test_nothing_is_imported_that_is_not_declared() -> None:
    distributions = metadata.packages_distributions()
    missing = {
        (name, where)
        for name, where in imported()
        if COMES_WITH.get(name) not in NAMES
        and {one.lower().replace("_", "-") for one in distributions.get(name, [])}.isdisjoint(NAMES)
    }

    assert missing == set()


@pytest.mark.parametrize("requirement", sorted(set(declared()), key=str), ids=str)
def test_each_dependency_has_a_lower_bound(requirement: Requirement) -> None:
    """Of its own, or from bullmq, which is pinned: that says which croniter there is."""
    of_bullmq = [one for one in map(Requirement, metadata.requires("bullmq") or []) if one.name == requirement.name]

    assert any(bound.operator in (">=", "==") for one in (requirement, *of_bullmq) for bound in one.specifier)


@pytest.mark.parametrize("name", NAMES)
def test_each_dependency_has_a_licence_that_asks_for_no_more_than_its_name(name: str) -> None:
    about = metadata.metadata(name)
    fields = ("License-Expression", "License", "Classifier")
    said = [
        str(one)[:200]
        for field in fields
        for one in about.get_all(field) or []
        if "Licen" in field or "License ::" in one
    ]

    assert any(PERMISSIVE.search(one) for one in said), said


@pytest.mark.parametrize("name", NAMES)
def test_each_dependency_is_listed_with_its_reason(name: str) -> None:
    rows = [line for line in DOCUMENT.splitlines() if line.startswith(f"| `{name}` |")]

    assert len(rows) == 1
    assert all(len(cell.strip()) > 2 for cell in rows[0].strip("|").split("|"))


def test_no_dependency_is_listed_that_is_gone() -> None:
    listed = set(re.findall(r"^\| `([A-Za-z0-9_-]+)` \|", DOCUMENT, re.MULTILINE))

    assert listed <= set(NAMES)
