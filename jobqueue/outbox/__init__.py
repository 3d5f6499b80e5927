"""Outbox: jobs that wait in a table: written in a transaction of the caller's, or spilled from a full queue."""

from jobqueue.outbox.relay import Relay
from jobqueue.outbox.table import Origin, OutboxRow
from jobqueue.outbox.writing import Outbox, write

__all__ = ["Origin", "Outbox", "OutboxRow", "Relay", "write"]
