"""Doctor: what could be wrong with Redis, the database and this installation, as data."""

from jobqueue.doctor.check import Check, Status
from jobqueue.doctor.examination import examine
from jobqueue.doctor.ownership import MAX_SCANNED

__all__ = ["MAX_SCANNED", "Check", "Status", "examine"]
