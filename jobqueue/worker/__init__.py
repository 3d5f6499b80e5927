"""Worker: runs the jobs of one or many queues."""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobqueue.worker.worker import Worker

if not TYPE_CHECKING:  # to a checker every name would be there

    def __getattr__(name: str) -> object:
        """Imported when first used: the process of a handler with `run_in="process"` has no need of a database."""
        if name != "Worker":
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return import_module("jobqueue.worker.worker").Worker


__all__ = ["Worker"]
