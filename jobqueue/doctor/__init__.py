"""Doctor: what could be wrong with Redis, the database and this installation, as data; and leaks removed."""

from jobqueue.doctor.check import Check, Status
from jobqueue.doctor.examination import examine
from jobqueue.doctor.leaks import LOOK_AGAIN_S, MAX_SCANNED, Found, Leak, described, mend, queues_of, search

__all__ = [
    "LOOK_AGAIN_S",
    "MAX_SCANNED",
    "Check",
    "Found",
    "Leak",
    "Status",
    "described",
    "examine",
    "mend",
    "queues_of",
    "search",
]
