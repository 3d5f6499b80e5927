"""Usage: help, exit statuses and errors, whatever the command."""

from __future__ import annotations

import pytest

from jobqueue.cli import ROWS
from tests.cli.terminal import Terminal


def test_help_names_every_command_and_the_exit_statuses(bare_terminal: Terminal) -> None:
    # when
    done = bare_terminal.run("--help")

    # then
    assert done.returncode == 0
    assert all(row.word in done.stdout for row in ROWS)
    assert "Exit status" in done.stdout


@pytest.mark.parametrize("words", [("dev",), ("jobs", "retry")], ids=" ".join)
def test_a_command_explains_itself_with_an_example(bare_terminal: Terminal, words: tuple[str, ...]) -> None:
    """That each has examples, and that they are right, is in `test_documentation`."""
    # when
    done = bare_terminal.run(*words, "--help")

    # then
    assert done.returncode == 0
    assert "Example" in done.stdout
    assert f"jobqueue {' '.join(words)}" in done.stdout
    assert "Exit status" in done.stdout
    assert "See also: docs/" in done.stdout


def test_the_version_is_printed(bare_terminal: Terminal) -> None:
    # when
    done = bare_terminal.run("--version")

    # then
    assert (done.returncode, done.stdout.split()[0]) == (0, "jobqueue")


@pytest.mark.parametrize("words", [("nonsense",), ("enqueue",), ("worker", "--concurrency", "0"), ("jobs",)])
def test_wrong_usage_ends_with_2(bare_terminal: Terminal, words: tuple[str, ...]) -> None:
    # when
    done = bare_terminal.run(*words)

    # then
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert done.stderr.count("\n") <= 1, "a sentence, or the help on standard output"


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("WORKER_CONCURRENCY", "many", ("worker",)),
        ("REDIS_URL", "http://localhost", ("enqueue", "order", '{"number": 1}')),
        ("DATABASE_URL", "mysql://localhost/x", ("db", "upgrade")),
        ("BULL_BOARD_USERNAME", "half-a-pair", ("serve", "--port", "0")),
        ("JOBS_CONFIG", "/nowhere.toml", ("dev", "--port", "0")),
        ("JOBS_REGISTRY", "shop:nothing", ("worker",)),
    ],
)
def test_a_wrong_setting_stops_the_start_and_names_itself(
    terminal: Terminal, name: str, value: str, words: tuple[str, ...]
) -> None:
    # when
    done = terminal.run(*words, **{name: value})

    # then
    assert done.returncode == 2
    assert name.removesuffix("_USERNAME") in done.stderr
    assert done.stderr.count("\n") == 1, "one line"


def test_code_that_does_not_parse_is_named_with_its_line(terminal: Terminal) -> None:
    # given
    (terminal.folder / "broken.py").write_text("x = 1\ndef\n", encoding="utf-8")

    # when
    done = terminal.run("worker", "--registry", "broken:registry")

    # then
    assert (done.returncode, "(broken.py, line 2)" in done.stderr) == (2, True)


def test_an_error_inside_the_registry_is_told_in_one_line(terminal: Terminal) -> None:
    # given
    (terminal.folder / "broken.py").write_text("import no_such_thing\n", encoding="utf-8")

    # when
    done = terminal.run("enqueue", "order", "--registry", "broken:registry")

    # then
    assert done.returncode == 2
    assert "JOBS_REGISTRY" in done.stderr
    assert "no_such_thing" in done.stderr
    assert "(broken.py, line 1)" in done.stderr
    assert done.stderr.count("\n") == 1
