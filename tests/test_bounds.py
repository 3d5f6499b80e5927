"""Bounds: no key of ours without a row in docs/memory.md and a rule of the doctor's."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

import pytest

from jobqueue.doctor.rules import OWN, subject_of
from jobqueue.job import Related
from jobqueue.keys import QueueKeys

PAGE: Final = Path(__file__).parents[1] / "docs" / "memory.md"
KEYS: Final = QueueKeys("bull", "jobs")
NO_KEYS: Final = {"each", "client_name", "signals"}
"""Several keys at once, the name of a connection, and a channel, which stores nothing."""

SAMPLES: Final[dict[str, object]] = {"str": "x", "int": 7, "Related": Related("order", "7")}


def functions() -> dict[str, Callable[..., Any]]:
    found = inspect.getmembers(QueueKeys, inspect.isfunction)
    return {name: function for name, function in found if not name.startswith("_")}


def key_of(function: Callable[..., Any]) -> str:
    """A key as the function makes it."""
    _, *wanted = inspect.signature(function).parameters.values()
    return str(function(KEYS, *(SAMPLES[str(parameter.annotation)] for parameter in wanted)))


def rows() -> dict[str, list[str]]:
    """The rows of the page's tables by their first cell, without its backticks."""
    lines = PAGE.read_text(encoding="utf-8").splitlines()
    cells = [[cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]] for line in lines if line.startswith("|")]
    return {first.strip("`"): rest for first, *rest in cells}


@pytest.mark.parametrize("name", [*functions()])
def test_every_key_function_has_a_row_that_says_its_bound_and_its_end(name: str) -> None:
    assert name in rows(), f"QueueKeys.{name} has no row in docs/memory.md: say what bounds it and what ends it"
    assert all(rows()[name]), f"the row of {name} in docs/memory.md has an empty cell"


@pytest.mark.parametrize("name", [name for name in functions() if name not in NO_KEYS])
def test_every_key_of_ours_has_a_rule_by_which_the_doctor_sees_that_it_is_leaked(name: str) -> None:
    key = key_of(functions()[name])

    if key.startswith(KEYS.of("job:")):
        assert subject_of(KEYS, key) is not None, f"no rule of jobqueue/doctor/rules.py is for {key}"


def test_no_rule_is_for_a_key_that_nobody_makes() -> None:
    made = {subject_of(KEYS, key_of(function)) for name, function in functions().items() if name not in NO_KEYS}

    assert {subject.rule.kind for subject in made if subject is not None and subject.rule.is_ours} == set(OWN)
