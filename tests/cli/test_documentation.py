"""The commands in README.md, in docs/ and in the help are commands that there are."""

from __future__ import annotations

import importlib
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import pytest
import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from jobqueue.cli import ROWS

ROOT = Path(__file__).parents[2]
PAGES = (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))
BLOCK = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
SHELL = {"", "console", "sh"}
# Up to what a shell would take for the end of the command.
COMMAND = re.compile(r"(?:^|[\s(])jobqueue ((?:'[^']*'|[^'\n)|<>#])*)")


def program() -> TyperGroup:
    """`jobqueue` with all its commands, as it is built for one of them."""
    app = typer.Typer()
    for row in ROWS:
        importlib.import_module(row.module).add_to(app)
    command = get_command(app)
    assert isinstance(command, TyperGroup)
    return command


PROGRAM = program()


def parse(words: list[str], group: TyperGroup = PROGRAM) -> None:
    """Raises: what a wrong command, option or value raises; nothing is run."""
    name, *rest = words
    assert name in group.commands, f"no command {name!r}"
    command = group.commands[name]
    if isinstance(command, TyperGroup):
        parse(rest, command)
    else:
        command.make_context(name, rest)


def commands_in(text: str) -> list[list[str]]:
    return [shlex.split(line) for line in COMMAND.findall(text.replace("\\\n", " "))]


def written() -> Iterator[tuple[str, list[str]]]:
    for page in PAGES:
        for language, block in BLOCK.findall(page.read_text(encoding="utf-8")):
            if language in SHELL:
                yield from ((page.name, words) for words in commands_in(block))


def leaves(group: TyperGroup, path: str = "jobqueue") -> Iterator[tuple[str, TyperCommand]]:
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from leaves(command, f"{path} {name}")
        elif isinstance(command, TyperCommand):
            yield f"{path} {name}", command


def exemplified() -> Iterator[tuple[str, list[str]]]:
    for path, command in leaves(PROGRAM):
        yield from ((f"{path} --help", words) for words in commands_in(command.epilog or ""))


EXAMPLES = [*written(), *exemplified()]


@pytest.mark.parametrize(("place", "words"), EXAMPLES, ids=[f"{place}: {' '.join(words)}" for place, words in EXAMPLES])
def test_a_documented_command_line_is_understood(place: str, words: list[str]) -> None:
    """README's second command had lost its `--url`."""
    parse(words)


def test_no_place_is_passed_over() -> None:
    places = {place for place, _ in EXAMPLES}
    assert {"README.md", "cli.md", "webhooks.md", "worker.md"} < places
    assert {f"{path} --help" for path, _ in leaves(PROGRAM)} < places


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("$ jobqueue webhook add http://localhost:9000/hook --model order", "url"),
        ("$ id=$(jobqueue webhook add --model order)", "url"),
        ("A=b jobqueue serve --prot 80  # a comment", "--prot"),
        ("jobqueue worker --concurrency none", "integer"),
        ("jobqueue webhook remove ID | jq .", "remove"),
    ],
)
def test_a_wrong_command_line_would_be_found(line: str, complaint: str) -> None:
    (words,) = commands_in(line)
    with pytest.raises(Exception, match=complaint):
        parse(words)
