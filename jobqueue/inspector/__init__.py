"""Inspector: the one read-and-act API of every screen. What it returns is masked and fit to be shown."""

from jobqueue.inspector.audit import Actor
from jobqueue.inspector.inspector import MAX_LOG_LINES, MAX_LOOKED_AT, MAX_SORTED, Inspector
from jobqueue.inspector.views import MAX_LIMIT, MAX_OFFSET, STATES, JobList, JobView, QueueView, Turn

__all__ = [
    "MAX_LIMIT",
    "MAX_LOG_LINES",
    "MAX_LOOKED_AT",
    "MAX_OFFSET",
    "MAX_SORTED",
    "STATES",
    "Actor",
    "Inspector",
    "JobList",
    "JobView",
    "QueueView",
    "Turn",
]
