"""Order keys, step by step: one job of a key at a time, in the order they were enqueued, and no key wedged."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import rule

from jobqueue import JobContext, make_job
from jobqueue.transitions import Entry
from tests.models.machine import QueueMachine, play
from tests.models.seen import check_gates
from tests.models.stage import Stage
from tests.models.told import Asked, Told, asked

keys = st.sampled_from(["a", "b"])


@make_job
async def step(ctx: JobContext) -> None: ...


class OrderKeys(QueueMachine):
    handlers = (step,)

    @rule(key=keys, options=asked)
    def add(self, key: str, options: Asked) -> None:
        self.enqueue(step, None, key, options, order_key=key)

    @rule(key=keys)
    def add_foreign(self, key: str) -> None:
        self.enqueue_foreign(step, f'{{"type":"adhoc","payload":null,"orderKey":"{key}"}}', key)

    def check(self) -> None:
        check_gates(self.seen)
        at_once = Counter(told.key for told, _ in self.running())
        assert all(count == 1 for count in at_once.values()), f"several of a key run at once: {at_once}"

    def check_run(self, told: Told, entry: Entry) -> None:
        """A first run overtakes nobody who was enqueued before it, by us, and is still to run for the first time."""
        if told.runs or told.has_ended or told.is_meddled:
            return
        overtaken = [
            other
            for other in self.told.values()
            if other.key == told.key and other.number < told.number and other.is_ours and not other.runs
            if not other.has_ended and not other.is_meddled and self.seen.is_unfinished(other.job_id)
        ]
        assert not overtaken, f"{told} overtook {overtaken}"

    def check_drained(self) -> None:
        self.check_all_ran()
        self.check_nothing_left()


def test_order_keys_hold_whatever_happens(stage: Stage) -> None:
    play(OrderKeys, stage)
