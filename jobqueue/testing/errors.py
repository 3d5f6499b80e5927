"""Errors: what the testing kit itself has to say; what jobs raise is raised as it is."""

from __future__ import annotations

from jobqueue.errors import JobqueueError


class KitError(JobqueueError):
    """The testing kit is used in a way that cannot work."""


class DrainTimeout(KitError):
    """A drain was not done in time; the message names what still runs and what waits."""
