"""Testing: run a handler inline; see what a service enqueued; drain it with a real worker; move the clock."""

from jobqueue.testing.clock import HandClock
from jobqueue.testing.errors import DrainTimeout, KitError
from jobqueue.testing.inline import InlineRun, run_inline
from jobqueue.testing.jobs import Jobs
from jobqueue.testing.private_redis import private_redis
from jobqueue.testing.records import Drained, EnqueuedJob, JobRun

__all__ = [
    "DrainTimeout",
    "Drained",
    "EnqueuedJob",
    "HandClock",
    "InlineRun",
    "JobRun",
    "Jobs",
    "KitError",
    "private_redis",
    "run_inline",
]
