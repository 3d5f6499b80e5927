"""dramatiq on its Redis broker: a message is acknowledged after its run; threads, no result backend."""

from __future__ import annotations

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from in_threads import ThreadPeer
from measuring import TEXT, Task


class Dramatiq(ThreadPeer):
    packages = ("dramatiq", "redis", "hiredis")

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self.broker = RedisBroker(url=task.redis_url)
        dramatiq.set_broker(self.broker)

        @dramatiq.actor(broker=self.broker)
        def noop(n: int, text: str) -> None:
            self.handle(n)

        self.noop = noop

    def add(self, number: int) -> None:
        self.noop.send(number, TEXT)

    def start(self) -> None:
        self.worker = dramatiq.Worker(self.broker, worker_threads=self.task.concurrency)
        self.worker.start()

    def stop(self) -> None:
        self.worker.stop()


if __name__ == "__main__":
    Dramatiq(Task.from_argv()).run()
