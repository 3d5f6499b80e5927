"""Errors of webhooks, beside those of the library."""

from __future__ import annotations

from jobqueue import JobqueueError


class InvalidSubscription(JobqueueError):
    """A field of a subscription is wrong; nothing was stored."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field}: {problem}")
        self.field = field
        self.problem = problem


class UnknownSubscription(JobqueueError):
    """There is no such subscription."""

    def __init__(self, subscription_id: str) -> None:
        super().__init__(f"there is no webhook subscription {subscription_id!r}")
        self.subscription_id = subscription_id


class WebhookFailed(JobqueueError):
    """The webhook was not delivered by this try."""


class WebhookUnreachable(WebhookFailed):
    """The receiver gave no answer, or one that says "not now" (404, 5xx): the next try may succeed."""


class WebhookRefused(WebhookFailed):
    """The receiver or its address refuses the webhook for good: another try would change nothing."""
