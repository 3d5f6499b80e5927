"""Errors of calls to the outside."""

from __future__ import annotations

from jobqueue import JobqueueError


class InvalidUrl(JobqueueError):
    """A URL that must not be called, or is none. It is not repeated: a password may be in it."""

    def __init__(self, problem: str) -> None:
        super().__init__(f"url: {problem}")
        self.problem = problem


class ForbiddenAddress(JobqueueError):
    """A host's name leads to an address that must not be reached."""

    def __init__(self, host: str, address: str, kind: str) -> None:
        super().__init__(f"{host!r} leads to {address}, which is {kind}; only public addresses are called")


class NoAnswer(JobqueueError):
    """The other side gave no answer, or has broken it off."""
