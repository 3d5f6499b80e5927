"""What docs/subscribe.md takes for granted: that a job may be retried."""

FAILS = {"charge"}
