"""Logs: one form for every line of our command lines, from structlog and `logging` alike.

On a terminal a coloured line, elsewhere one JSON object a line. A line that is logged inside a job carries its scope,
`[worker][{handler}:{jobId}]`; in JSON also what a machine looks for: `handler`, `job_id`, and of the worker's own
lines `job_event`, `queue`, `attempt`, `duration_ms`.
"""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Mapping
from typing import Any, Final, TextIO

import structlog
from structlog.typing import EventDict, ExcInfo, Processor, WrappedLogger

from jobqueue.harmless import indented, json_text
from jobqueue.worker.scope import current_scope

CHATTY: Final = ("alembic", "httpcore", "httpx", "uvicorn", "watchfiles")
"""Libraries whose `info` says nothing that a person at our command line asked for."""

_FIELDS: Final = "job_fields"
"""What the worker puts beside the sentence of a line, as one attribute of its record."""


def configure_logging(stream: TextIO, *, level: int = logging.INFO) -> None:
    """Send everything that this process logs to `stream`. The last call counts."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(_formatter(colours=stream.isatty()))
    root = logging.getLogger()
    for known in root.handlers[:]:
        root.removeHandler(known)
    root.addHandler(handler)
    root.setLevel(level)
    for name in CHATTY:
        logging.getLogger(name).setLevel(max(level, logging.WARNING))
    structlog.configure(
        # structlog's lines become plain records, so that other handlers (a job's log) can read them too.
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
    )


def set_level(name: str) -> None:
    """From now on only lines of that level (LOG_LEVEL) and above are told; chatty libraries keep theirs."""
    logging.getLogger().setLevel(name.upper())


def _formatter(*, colours: bool) -> logging.Formatter:
    before: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.ExtraAdder(),
        structlog.processors.TimeStamper(fmt="%H:%M:%S" if colours else "iso", utc=not colours),
        add_job_scope if not colours else _add_tag,
    ]
    after: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if colours:
        renderer = structlog.dev.ConsoleRenderer(pad_event_to=0, exception_formatter=_write_trace)
        after += [_drop_fields, _put_scope_first, _make_harmless, renderer]
    else:
        after += [
            _spread_fields,
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_as_json),
        ]
    return structlog.stdlib.ProcessorFormatter(foreign_pre_chain=before, processors=after)


def add_job_scope(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """A processor for structlog: a line that is logged inside a job tells its `scope`, `handler` and `job_id`.

    For a service that configures structlog itself; what the line has under these names already stays.
    """
    scope = current_scope.get()
    if scope is not None:
        for name, value in (("scope", scope.tag), ("handler", scope.handler), ("job_id", scope.job_id)):
            line.setdefault(name, value)
    return line


def _add_tag(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    scope = current_scope.get()
    if scope is not None:
        line["scope"] = scope.tag
    return line


def _spread_fields(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    fields = line.get(_FIELDS)
    if not isinstance(fields, Mapping):  # somebody else's line, whose attribute has that name
        return line
    return {**{name: value for name, value in line.items() if name != _FIELDS}, **fields}


def _drop_fields(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """On a terminal the sentence says it all."""
    if isinstance(line.get(_FIELDS), Mapping):
        del line[_FIELDS]
    return line


def _put_scope_first(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    tag = line.pop("scope", None)
    if tag is not None:
        line["event"] = f"{tag} {line['event']}"
    return line


def _make_harmless(_logger: WrappedLogger, _method: str, line: EventDict) -> EventDict:
    """What a job's name, id or error brings along is no line of its own, and nothing that a terminal obeys."""
    return {name: indented(value) if isinstance(value, str) else value for name, value in line.items()}


def _write_trace(stream: TextIO, error: ExcInfo) -> None:
    """Without the values of local variables, which structlog would show: payloads and passwords are among them."""
    trace = io.StringIO()
    structlog.dev.plain_traceback(trace, error)
    stream.write(indented(trace.getvalue()))


def _as_json(line: Any, **options: Any) -> str:
    return json_text(json.dumps(line, ensure_ascii=False, **options))
