"""Logs: one form for structlog and `logging`, with the scope of the job."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from jobqueue.logs import CHATTY, configure_logging, set_level
from jobqueue.worker.scope import Scope, current_scope


class TerminalStream(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def logging_as_it_was() -> Iterator[None]:
    """What a command line configures is for its process alone; this process goes on."""
    root = logging.getLogger()
    handlers, levels = root.handlers[:], {logger: logger.level for logger in (root, *map(logging.getLogger, CHATTY))}
    yield
    structlog.reset_defaults()
    root.handlers[:] = handlers
    for logger, level in levels.items():
        logger.setLevel(level)


@pytest.fixture
def in_a_job() -> Iterator[None]:
    def forget(_line: str) -> None:
        pass

    token = current_scope.set(Scope("order", "42", forget))
    yield
    current_scope.reset(token)


def lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


@pytest.mark.usefixtures("in_a_job")
def test_a_line_of_either_library_carries_the_scope_of_its_job() -> None:
    # given
    stream = io.StringIO()
    configure_logging(stream)

    # when
    logging.getLogger("shop").info("packing %s", 3)
    structlog.stdlib.get_logger("till").info("paid", amount=5)

    # then
    plain, structured = lines(stream)
    assert (plain["event"], plain["scope"], plain["logger"]) == ("packing 3", "[worker][order:42]", "shop")
    assert (structured["event"], structured["amount"]) == ("paid", 5)
    assert structured["scope"] == "[worker][order:42]"


def test_a_line_outside_a_job_has_no_scope() -> None:
    # given
    stream = io.StringIO()
    configure_logging(stream)

    # when
    logging.getLogger("shop").warning("closed")

    # then
    assert [(line["level"], "scope" in line) for line in lines(stream)] == [("warning", False)]


@pytest.mark.usefixtures("in_a_job")
def test_a_terminal_gets_a_plain_line_with_colours() -> None:
    # given
    stream = TerminalStream()
    configure_logging(stream)

    # when
    logging.getLogger("shop").info("packing")

    # then
    assert "[worker][order:42] packing" in stream.getvalue()
    assert "\x1b[" in stream.getvalue()


def test_a_structlog_line_reaches_other_handlers_as_text() -> None:
    """The job's log is one: it once got the line's dict as it stood."""
    # given
    configure_logging(io.StringIO())
    heard: list[str] = []

    class Listener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            heard.append(record.getMessage())

    listener = Listener()
    logging.getLogger().addHandler(listener)

    # when
    structlog.stdlib.get_logger("till").info("paid", amount=5)

    # then
    assert heard == ["paid"]


def test_an_exception_comes_with_its_stack() -> None:
    # given
    stream = io.StringIO()
    configure_logging(stream)

    # when
    try:
        raise RuntimeError("out of stock")
    except RuntimeError:
        logging.getLogger("shop").exception("refused")

    # then
    (line,) = lines(stream)
    assert "RuntimeError: out of stock" in line["exception"]


def test_a_level_hides_what_is_below_it() -> None:
    stream = io.StringIO()
    configure_logging(stream)

    set_level("warning")
    logging.getLogger("jobqueue.worker").info("a job has completed")
    logging.getLogger("jobqueue.worker").warning("a job has failed")

    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == ["a job has failed"]
