"""jobqueue: typed jobs on real BullMQ queues, for async Python services."""

from importlib import import_module
from typing import TYPE_CHECKING, Final

from jobqueue._version import __version__
from jobqueue.app import (
    App,
    cancel_job,
    cancel_jobs,
    close_default_app,
    enqueue_flow,
    enqueue_job,
    enqueue_jobs,
    mark_done,
    requeue,
    retry_job,
    set_default_app,
    subscribe,
)
from jobqueue.bulk import EnqueuedJobs
from jobqueue.children import Child, Children
from jobqueue.context import AbortSignal, CronContext, JobContext, Resources
from jobqueue.errors import (
    CronError,
    CronJobNotFound,
    DatabaseUnavailable,
    DefinitionError,
    Discard,
    DuplicateCronJob,
    DuplicateHandler,
    DuplicateJob,
    EnqueueError,
    InvalidCronJob,
    InvalidOption,
    InvalidPayload,
    JobActive,
    JobCancelled,
    JobFailed,
    JobFinished,
    JobNotFound,
    JobNotInState,
    JobqueueError,
    OutcomeUnknown,
    PayloadTooLarge,
    ProcessEnded,
    QueueVersionError,
    RedisUnavailable,
    Retry,
    SettingsError,
    Snooze,
    UnknownHandler,
    UnknownHandlerId,
    WaitForChildren,
)
from jobqueue.flows import EnqueuedFlow, Flow, flow
from jobqueue.handler import Handler
from jobqueue.job import Backoff, Enqueued, Job, Keep, Related, exponential, fixed
from jobqueue.policy import Limit, limit
from jobqueue.registry import Registry
from jobqueue.settings import Settings
from jobqueue.subscriptions import JobOutcome, OutcomesMissed, Subscription
from jobqueue.wrappers import (
    make_job,
    make_singleton_job,
    make_superseding_job,
    makeJob,
    makeSingletonJob,
    makeSupersedingJob,
)

if TYPE_CHECKING:
    from jobqueue import scheduler
    from jobqueue.cron import CronJob, CronJobs
    from jobqueue.cron.definitions import cron_job
    from jobqueue.scheduler import register_cron_jobs
    from jobqueue.worker import Worker

enqueueJob = enqueue_job

_LATER: Final = {
    "CronJob": "jobqueue.cron",
    "CronJobs": "jobqueue.cron",
    "Worker": "jobqueue.worker",
    "cron_job": "jobqueue.cron.definitions",
    "register_cron_jobs": "jobqueue.scheduler",
}
"""What needs a database is imported when it is first used: a service that only enqueues pays nothing for it."""

if not TYPE_CHECKING:  # to a checker every name would be there

    def __getattr__(name: str) -> object:
        if name == "scheduler":
            return import_module("jobqueue.scheduler")
        if name not in _LATER:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        globals()[name] = found = getattr(import_module(_LATER[name]), name)
        return found


__all__ = [
    "AbortSignal",
    "App",
    "Backoff",
    "Child",
    "Children",
    "CronContext",
    "CronError",
    "CronJob",
    "CronJobNotFound",
    "CronJobs",
    "DatabaseUnavailable",
    "DefinitionError",
    "Discard",
    "DuplicateCronJob",
    "DuplicateHandler",
    "DuplicateJob",
    "EnqueueError",
    "Enqueued",
    "EnqueuedFlow",
    "EnqueuedJobs",
    "Flow",
    "Handler",
    "InvalidCronJob",
    "InvalidOption",
    "InvalidPayload",
    "Job",
    "JobActive",
    "JobCancelled",
    "JobContext",
    "JobFailed",
    "JobFinished",
    "JobNotFound",
    "JobNotInState",
    "JobOutcome",
    "JobqueueError",
    "Keep",
    "Limit",
    "OutcomeUnknown",
    "OutcomesMissed",
    "PayloadTooLarge",
    "ProcessEnded",
    "QueueVersionError",
    "RedisUnavailable",
    "Registry",
    "Related",
    "Resources",
    "Retry",
    "Settings",
    "SettingsError",
    "Snooze",
    "Subscription",
    "UnknownHandler",
    "UnknownHandlerId",
    "WaitForChildren",
    "Worker",
    "__version__",
    "cancel_job",
    "cancel_jobs",
    "close_default_app",
    "cron_job",
    "enqueueJob",
    "enqueue_flow",
    "enqueue_job",
    "enqueue_jobs",
    "exponential",
    "fixed",
    "flow",
    "limit",
    "makeJob",
    "makeSingletonJob",
    "makeSupersedingJob",
    "make_job",
    "make_singleton_job",
    "make_superseding_job",
    "mark_done",
    "register_cron_jobs",
    "requeue",
    "retry_job",
    "scheduler",
    "set_default_app",
    "subscribe",
]
