"""Inspector: the one read-and-act API of every screen. What it returns is masked and fit to be shown."""

from jobqueue.inspector.acting import Operator
from jobqueue.inspector.audit import MAX_ENTRIES, Actor, AuditEntry, AuditPage
from jobqueue.inspector.auditing import AuditedAct
from jobqueue.inspector.bulk_acts import ACTS, MAX_IDS, STATES_OF, Act, Bulk
from jobqueue.inspector.finding import MAX_FOUND
from jobqueue.inspector.inspector import Inspector
from jobqueue.inspector.lists import MAX_SORTED
from jobqueue.inspector.outbox import OutboxJob, OutboxQueue, OutboxView
from jobqueue.inspector.reading import MAX_LOG_LINES
from jobqueue.inspector.searching import MAX_LOOKED_AT
from jobqueue.inspector.serving import Unserved, UnservedQueue
from jobqueue.inspector.statistics import Point, Span, Statistics
from jobqueue.inspector.views import (
    EVERYTHING,
    MAX_LIMIT,
    MAX_OFFSET,
    STATES,
    Branch,
    Dedupe,
    Family,
    FoundJobs,
    Gate,
    JobFilter,
    JobList,
    JobView,
    Kin,
    Moment,
    QueueView,
    Turn,
)
from jobqueue.inspector.workers import RunningJob, WorkerView

__all__ = [
    "ACTS",
    "EVERYTHING",
    "MAX_ENTRIES",
    "MAX_FOUND",
    "MAX_IDS",
    "MAX_LIMIT",
    "MAX_LOG_LINES",
    "MAX_LOOKED_AT",
    "MAX_OFFSET",
    "MAX_SORTED",
    "STATES",
    "STATES_OF",
    "Act",
    "Actor",
    "AuditEntry",
    "AuditPage",
    "AuditedAct",
    "Branch",
    "Bulk",
    "Dedupe",
    "Family",
    "FoundJobs",
    "Gate",
    "Inspector",
    "JobFilter",
    "JobList",
    "JobView",
    "Kin",
    "Moment",
    "Operator",
    "OutboxJob",
    "OutboxQueue",
    "OutboxView",
    "Point",
    "QueueView",
    "RunningJob",
    "Span",
    "Statistics",
    "Turn",
    "Unserved",
    "UnservedQueue",
    "WorkerView",
]
