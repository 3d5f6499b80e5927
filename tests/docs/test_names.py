"""No page names a setting, an error, an option or a command that there is not."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.core import TyperGroup

import jobqueue
from jobqueue import Settings, errors
from jobqueue.job import EnqueueOptions
from jobqueue.policy import PolicyOptions
from tests.cli.test_documentation import PROGRAM
from tests.docs.pages import PAGES, name_of, prose_of

SETTINGS = {name.upper() for name in Settings.model_fields}
OURS = tuple(sorted({f"{name.partition('_')[0]}_" for name in SETTINGS if "_" in name}))
"""How the names of settings begin: what begins so, in capitals, is meant as one."""
CODE = re.compile(r"`([^`]+)`")
SETTING = re.compile(r"\b[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+\b(?!…|\*)")
OF_A_WRAPPER = {"name", "seeded_cron", "key", "on_busy", "dedupe_key"}
ERROR = re.compile(r"^[A-Z]\w*[a-z]\w*$")
OPTION = re.compile(r"^[a-z]\w*$")
"""A table whose first column is headed `error`, or `option`, names them there."""
SETTING_HEADS = ("variable", "setting")


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_settings_that_a_page_names_exist(page: Path) -> None:
    named = set(SETTING.findall(page.read_text(encoding="utf-8")))
    assert {name for name in named if name.startswith(OURS)} <= SETTINGS


def test_every_setting_is_in_a_table_of_settings() -> None:
    listed = {code for page in PAGES for table in tables(page, *SETTING_HEADS) for code in table}
    assert listed >= SETTINGS, f"no table that is headed {SETTING_HEADS} has these: {SETTINGS - listed}"


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_errors_that_a_page_lists_exist(page: Path) -> None:
    named = {code for table in tables(page, "error") for code in table if ERROR.match(code)}
    assert not {name for name in named if not (hasattr(jobqueue, name) or hasattr(errors, name))}


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_options_that_a_page_lists_exist(page: Path) -> None:
    known = PolicyOptions.__annotations__.keys() | EnqueueOptions.__annotations__.keys() | OF_A_WRAPPER
    for table in tables(page, "option"):
        named = set(filter(OPTION.match, table))
        assert named <= known or not named & known  # a table of options of something else has none of ours


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_the_commands_that_a_page_names_exist(page: Path) -> None:
    for line, code in codes(page):
        if code.startswith("jobqueue ") and not code.startswith("jobqueue COMMAND"):
            problem = problem_of(code.split()[1:], PROGRAM)
            assert problem is None, f"{name_of(page)}:{line}: `{code}`: {problem}"


def problem_of(words: list[str], group: TyperGroup) -> str | None:
    """What is wrong with the words that are commands or options; the others are anybody's."""
    name, *rest = words
    command = group.commands.get(name)
    if command is None:
        return None if name.startswith(("-", "…")) else f"no command {name!r}"
    if isinstance(command, TyperGroup):
        return problem_of(rest, command) if rest else None
    known = {option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)}
    asked = [word.partition("=")[0] for word in rest if word.startswith("--") and word != "--help"]
    unknown = [option for option in asked if option not in known]
    return f"no option {unknown[0]}" if unknown else None


def codes(page: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(prose_of(page), 1):
        yield from ((number, code) for code in CODE.findall(line))


def tables(page: Path, *headings: str) -> list[list[str]]:
    """The codes in the first column of each table that is headed so."""
    found: list[list[str]] = []
    inside = False
    for line in prose_of(page):
        first = line.strip("|").split("|")[0].strip() if line.startswith("|") else None
        if first is None:
            inside = False
        elif inside:
            found[-1] += CODE.findall(first)
        elif first in headings:
            inside = True
            found.append([])
    return found
