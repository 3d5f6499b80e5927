"""Singletons, step by step: one run at a time, by a lock with a growing fence, which a redelivered job takes over."""

from __future__ import annotations

from collections import Counter, defaultdict

from hypothesis import strategies as st
from hypothesis.stateful import rule

from jobqueue import JobContext, make_singleton_job
from jobqueue.scripts import own
from jobqueue.ties import LOCK_TTL_MS, LockTie, Ties
from jobqueue.transitions import Entry
from jobqueue.worker.outcomes import Outcome, Skipped
from tests.models.hand import Refused, Running
from tests.models.machine import QueueMachine, play
from tests.models.stage import Stage
from tests.models.told import Asked, Told, asked


@make_singleton_job
async def skips(ctx: JobContext) -> None: ...


@make_singleton_job(on_busy="wait")
async def waits(ctx: JobContext) -> None: ...


class Singletons(QueueMachine):
    handlers = (skips, waits)

    def __init__(self) -> None:
        super().__init__()
        self.fences: dict[str, list[int]] = defaultdict(list)
        self.open = set[str]()

    @rule(handler=st.sampled_from(["skips", "waits"]), options=asked)
    def add(self, handler: str, options: Asked) -> None:
        self.enqueue(self.app.registry.get(handler), None, handler, options)

    @rule()
    def renew(self) -> None:
        """The heartbeats of all runs; some may have lost their lock."""
        for run in [hand.holding for hand in self.hands if isinstance(hand.holding, Running)]:
            lock = _lock_of(run.ties)
            answer = self.do(self.app.client.run(own("renewLock"), [lock.key], [lock.token, LOCK_TTL_MS]))
            seen = self.seen.own.get(f"job:lock:{run.job.name}")
            is_its_own = seen is not None and seen.value["token"] == lock.token
            assert answer == int(is_its_own), f"a run of {run.job.id} renewed {seen}: {answer}"

    @rule()
    def expire(self) -> None:
        self.rest()

    def check(self) -> None:
        at_once = Counter(told.key for told, _ in self.running())
        assert all(count == 1 for count in at_once.values()), f"several run at once: {at_once}"
        for told, run in self.running():
            lock = self.seen.own.get(f"job:lock:{told.key}")
            assert lock is not None, f"{told} runs without a lock"
            assert (lock.value["job"], int(lock.value["fence"])) == (told.job_id, run.fence), f"{told} lost {lock}"
        self.open |= {_lock_of(hand.holding.ties).token for hand in self.hands if isinstance(hand.holding, Running)}
        left = [lock for lock in self.seen.of_kind("lock") if lock.value["token"] not in self.open]
        assert not left, f"left by runs whose end was recorded: {left}"

    def check_entry(self, told: Told, entry: Entry) -> None:
        lock = self.seen.own.get(f"job:lock:{told.key}")
        if entry.verdict == "busy":
            assert lock is not None, f"{told} found a lock that is not there"
            assert lock.value["job"] == entry.other != told.job_id, f"{told} did not take over {lock}"

    def check_run(self, told: Told, entry: Entry) -> None:
        earlier = self.fences[told.key]
        assert entry.fence > max(earlier, default=0), f"the fence {entry.fence} of {told} follows {earlier}"
        earlier.append(entry.fence)

    def check_end(self, told: Told, held: Refused | Running, outcome: Outcome) -> None:
        if isinstance(held, Running):
            self.open.discard(_lock_of(held.ties).token)
        if isinstance(outcome, Skipped):
            assert told.key == "skips", f"{told} was skipped, though it should have waited"

    def rest(self) -> None:
        """The locks of runs that were lost, and will not come again, reach their time limit."""
        for lock in self.seen.of_kind("lock"):
            if not self.seen.is_unfinished(lock.value["job"]):
                self.do(self.app.client.call("DEL", self.queue.keys.of(lock.name)))

    def check_drained(self) -> None:
        self.rest()
        self.see()
        self.check_all_ran()
        self.check_nothing_left()


def _lock_of(ties: Ties) -> LockTie:
    return next(tie for tie in ties if isinstance(tie, LockTie))


def test_singletons_hold_whatever_happens(stage: Stage) -> None:
    play(Singletons, stage)
