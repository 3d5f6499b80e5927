"""Errors: what can be wrong with a store, an object in it, or an image."""

from __future__ import annotations

from jobqueue import JobqueueError


class StoreError(JobqueueError):
    """The store could not do what was asked."""

    def __init__(self, key: str, problem: str) -> None:
        super().__init__(f"{key!r:.600} {problem}" if key else f"the store {problem}")
        self.key = key
        self.problem = problem


class InvalidKey(StoreError):
    """This can be no object's key."""


class ObjectMissing(StoreError):
    """The store has no such object."""

    def __init__(self, key: str) -> None:
        super().__init__(key, "is not in the store")


class ObjectTooLarge(StoreError):
    """The object is larger than whoever reads it can take."""

    def __init__(self, key: str, size_bytes: int, most_bytes: int) -> None:
        super().__init__(key, f"has {size_bytes} bytes, the limit is {most_bytes}")


class BadImage(JobqueueError):
    """No image can be made of these bytes, and another try would change nothing."""


class MissingExtra(JobqueueError):
    """A library that this needs is not installed."""

    def __init__(self, library: str, extra: str) -> None:
        super().__init__(f"needs {library}: pip install 'jobqueue[{extra}]'")
