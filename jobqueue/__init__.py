"""jobqueue: typed jobs on real BullMQ queues, for async Python services."""

from jobqueue._version import __version__
from jobqueue.app import App, close_default_app, enqueue_job, enqueue_jobs, set_default_app
from jobqueue.bulk import EnqueuedJobs
from jobqueue.context import AbortSignal, JobContext, Resources
from jobqueue.errors import (
    DatabaseUnavailable,
    DefinitionError,
    DuplicateHandler,
    EnqueueError,
    InvalidOption,
    InvalidPayload,
    JobCancelled,
    JobFailed,
    JobNotFound,
    JobNotInState,
    JobqueueError,
    OutcomeUnknown,
    PayloadTooLarge,
    QueueVersionError,
    RedisUnavailable,
    SettingsError,
    UnknownHandler,
)
from jobqueue.handler import Handler
from jobqueue.job import Backoff, Enqueued, Job, Keep, exponential, fixed
from jobqueue.registry import Registry
from jobqueue.settings import Settings
from jobqueue.worker import Worker
from jobqueue.wrappers import (
    make_job,
    make_singleton_job,
    make_superseding_job,
    makeJob,
    makeSingletonJob,
    makeSupersedingJob,
)

enqueueJob = enqueue_job

__all__ = [
    "AbortSignal",
    "App",
    "Backoff",
    "DatabaseUnavailable",
    "DefinitionError",
    "DuplicateHandler",
    "EnqueueError",
    "Enqueued",
    "EnqueuedJobs",
    "Handler",
    "InvalidOption",
    "InvalidPayload",
    "Job",
    "JobCancelled",
    "JobContext",
    "JobFailed",
    "JobNotFound",
    "JobNotInState",
    "JobqueueError",
    "Keep",
    "OutcomeUnknown",
    "PayloadTooLarge",
    "QueueVersionError",
    "RedisUnavailable",
    "Registry",
    "Resources",
    "Settings",
    "SettingsError",
    "UnknownHandler",
    "Worker",
    "__version__",
    "close_default_app",
    "enqueueJob",
    "enqueue_job",
    "enqueue_jobs",
    "exponential",
    "fixed",
    "makeJob",
    "makeSingletonJob",
    "makeSupersedingJob",
    "make_job",
    "make_singleton_job",
    "make_superseding_job",
    "set_default_app",
]
