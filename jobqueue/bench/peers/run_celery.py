"""celery on Redis with a thread pool: acknowledged late, redelivered after the visibility timeout, results in Redis."""

from __future__ import annotations

import logging
import threading

from celery import Celery
from in_threads import ThreadPeer
from measuring import TEXT, Task


class CeleryPeer(ThreadPeer):
    packages = ("celery", "kombu", "redis", "hiredis")

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.app = Celery("bench", broker=task.redis_url, backend=task.redis_url)
        self.app.conf.update(
            task_acks_late=True,
            task_reject_on_worker_lost=True,
            worker_hijack_root_logger=False,
            broker_connection_retry_on_startup=True,
        )

        @self.app.task(name="noop")
        def noop(n: int, text: str) -> None:
            self.handle(n)

        self.noop = noop

    def add(self, number: int) -> None:
        self.noop.delay(number, TEXT)

    def start(self) -> None:
        self.worker = self.app.WorkController(pool_cls="threads", concurrency=self.task.concurrency, loglevel="WARNING")
        threading.Thread(target=self.worker.start, daemon=True).start()

    def stop(self) -> None:
        self.worker.stop()


if __name__ == "__main__":
    logging.getLogger().setLevel(logging.WARNING)
    CeleryPeer(Task.from_argv()).run()
