"""Scope: which job this code runs in, so that every line logged inside a job reaches the job's log too."""

from __future__ import annotations

import logging
from collections.abc import Callable
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
    """Copies what is logged inside a job to the job's log; what is logged elsewhere is passed over."""

    def emit(self, record: logging.LogRecord) -> None:
        scope = current_scope.get()
        if scope is None:
            return
        try:
            scope.log(f"{record.levelname} {record.name}: {record.getMessage()}")
        except Exception:
            self.handleError(record)
