"""Scope: which job this code runs in, so that every line logged inside a job reaches the job's log too."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import NamedTuple


class Scope(NamedTuple):
    """The job that the current task or thread works for."""

    handler: str
    job_id: str
    log: Callable[[str], None]

    @property
    def tag(self) -> str:
        return f"[worker][{self.handler}:{self.job_id}]"


current_scope: ContextVar[Scope | None] = ContextVar("current_scope", default=None)


class JobLogHandler(logging.Handler):
    """Copies what is logged inside a job to the job's log; what is logged elsewhere is passed over.

    Where nobody has configured logging, Python prints warnings and errors by its last resort, but only as long as there
    is no handler at all; so what it would have printed is handed on to it.
    """

    def emit(self, record: logging.LogRecord) -> None:
        if self is not _first_of(logging.getLogger().handlers):  # another worker of this process tells it
            return
        scope = current_scope.get()
        if scope is not None:
            try:
                scope.log(f"{record.levelname} {record.name}: {record.getMessage()}")
            except Exception:
                self.handleError(record)
        last_resort = logging.lastResort
        if last_resort is not None and record.levelno >= last_resort.level and not _is_told(record):
            last_resort.handle(record)


def _first_of(handlers: Sequence[logging.Handler]) -> logging.Handler | None:
    return next((one for one in handlers if isinstance(one, JobLogHandler)), None)


def _is_told(record: logging.LogRecord) -> bool:
    """Whether a handler of somebody else's gets it."""
    logger: logging.Logger | None = logging.getLogger(record.name)
    while logger is not None:
        if not all(isinstance(one, JobLogHandler) for one in logger.handlers):
            return True
        logger = logger.parent if logger.propagate else None
    return False
