"""A log line is one line that says what happened: nobody who names a job can forge another, or move a cursor."""

from __future__ import annotations

import io
import json
import logging
import re
from collections.abc import Iterator

import pytest
import structlog

from jobqueue.logs import CHATTY, configure_logging
from jobqueue.worker.scope import Scope, current_scope
from tests.security.canary import CANARY

FORGED = (
    '42\r\n\x1b[2J\x1b]0;owned\x07{"level": "info"}\u202e\x9b31m\u2028 12:00:00 [info] all is well\n'
    "12:00:01 [info] paid"
)
OURS = re.compile(r"\x1b\[[0-9;]*m")
"""The colours of our own terminal lines."""
OBEYED = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028-\u202e]")


class TerminalStream(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, levels = root.handlers[:], {logger: logger.level for logger in (root, *map(logging.getLogger, CHATTY))}
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    for logger, level in levels.items():
        logger.setLevel(level)


def logged(stream: io.StringIO) -> str:
    """Lines of every form, with a name, an id, an error and a value that somebody else has chosen."""
    configure_logging(stream)

    def forget(_line: str) -> None:
        pass

    token = current_scope.set(Scope("order", FORGED, forget))
    try:
        logging.getLogger("shop").info("job %s is done", FORGED)
        structlog.stdlib.get_logger("till").info("paid", customer=FORGED)
        try:
            password = CANARY
            raise RuntimeError(f"refused: {FORGED}", len(password))
        except RuntimeError:
            logging.getLogger("shop").exception("failed")
    finally:
        current_scope.reset(token)
    return stream.getvalue()


def test_a_line_of_json_holds_whatever_it_is_about() -> None:
    lines = logged(io.StringIO()).splitlines()

    assert [json.loads(line)["level"] for line in lines] == ["info", "info", "error"]
    assert not [line for line in lines if OBEYED.search(line)]
    assert json.loads(lines[1])["customer"] == FORGED


def test_on_a_terminal_nothing_is_obeyed_and_each_further_line_is_indented() -> None:
    said = OURS.sub("", logged(TerminalStream()))
    lines = said.split("\n")

    assert not OBEYED.search(said)
    assert len([line for line in lines if line and not line.startswith("    ")]) == 3
    assert "\\u001b]0;owned" in said


def test_a_trace_shows_no_local_variables() -> None:
    """structlog writes traces with rich, where that is installed, and has it print the value of each variable."""
    assert CANARY not in logged(TerminalStream())
    assert CANARY not in logged(io.StringIO())
