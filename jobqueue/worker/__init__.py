"""Worker: runs the jobs of one or many queues."""

from jobqueue.worker.worker import Worker

__all__ = ["Worker"]
