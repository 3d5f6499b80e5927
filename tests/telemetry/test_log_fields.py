"""Fields of a line: what the worker says beside the sentence, in JSON, and how a service's structlog gets it."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest
import structlog

from jobqueue import JobContext, make_job
from jobqueue.logs import CHATTY, add_job_scope, configure_logging
from tests.conftest import MakeSettings
from tests.worker.harness import at_work


class Terminal(io.StringIO):
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


async def work(ctx: JobContext) -> None:
    structlog.get_logger("shop").info("packing", boxes=3)


handler = make_job(work, name="pack")


async def lines_of_one_job(settings: MakeSettings, stream: io.StringIO) -> str:
    configure_logging(stream)
    async with at_work(settings(), handler) as site:
        job = await site.app.enqueue_job(handler, job_id="o-7")
        await job.wait(10)
    return stream.getvalue()


async def test_a_line_of_json_has_the_fields_beside_its_sentence(settings: MakeSettings) -> None:
    text = await lines_of_one_job(settings, io.StringIO())

    lines: list[dict[str, Any]] = [json.loads(line) for line in text.splitlines()]
    [line] = [line for line in lines if line.get("job_event") == "job.completed"]
    assert line["event"].startswith("[worker][pack:o-7] completed (")
    took_ms = line["duration_ms"]
    told = {name: line[name] for name in ("queue", "handler", "job_id", "attempt")}
    assert told == {"queue": "jobs", "handler": "pack", "job_id": "o-7", "attempt": 1}
    assert took_ms >= 0
    [own] = [line for line in lines if line["event"] == "packing"]
    assert (own["scope"], own["handler"], own["job_id"], own["boxes"]) == ("[worker][pack:o-7]", "pack", "o-7", 3)


async def test_a_line_on_a_terminal_is_the_sentence_alone(settings: MakeSettings) -> None:
    text = await lines_of_one_job(settings, Terminal())

    assert "completed (" in text
    assert not [word for word in ("job_event", "job_fields", "duration_ms", "attempt") if word in text]


async def test_a_service_s_own_structlog_gets_the_scope_of_the_job(settings: MakeSettings) -> None:
    stream = io.StringIO()
    structlog.configure(
        processors=[add_job_scope, structlog.processors.JSONRenderer()],
        logger_factory=structlog.PrintLoggerFactory(stream),
    )
    async with at_work(settings(), handler) as site:
        await (await site.app.enqueue_job(handler, job_id="o-7")).wait(10)

    line = json.loads(stream.getvalue())
    assert line == {"event": "packing", "boxes": 3, "scope": "[worker][pack:o-7]", "handler": "pack", "job_id": "o-7"}


@pytest.mark.parametrize("stream", [io.StringIO(), Terminal()], ids=["json", "terminal"])
def test_a_line_whose_own_field_has_the_name_of_ours_is_written_as_it_is(stream: io.StringIO) -> None:
    configure_logging(stream)

    logging.getLogger("shop").info("packed", extra={"job_fields": "three boxes"})

    assert "packed" in stream.getvalue()
    assert "three boxes" in stream.getvalue()
