"""Lanes, step by step: at most one run of a lane is not told to stop, and the last that was enqueued runs."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import rule

from jobqueue import JobContext, make_superseding_job
from jobqueue.transitions import Entry
from jobqueue.worker.outcomes import Outcome, Superseded
from tests.models.hand import Refused, Running
from tests.models.machine import QueueMachine, play
from tests.models.stage import Stage
from tests.models.told import Asked, Told, asked

lanes = st.sampled_from(["a", "b"])


@make_superseding_job(dedupe_key=lambda lane: lane)
async def sync(ctx: JobContext, lane: str) -> None: ...


class Lanes(QueueMachine):
    handlers = (sync,)

    @rule(lane=lanes, options=asked)
    def add(self, lane: str, options: Asked) -> None:
        self.enqueue(sync, lane, lane, options)

    @rule(lane=lanes)
    def add_foreign(self, lane: str) -> None:
        self.enqueue_foreign(sync, f'{{"type":"adhoc","payload":"{lane}"}}', lane)

    def check(self) -> None:
        untold = Counter(told.key for told, _ in self.running() if self.seen.mark("superseded", told.job_id) is None)
        assert all(count == 1 for count in untold.values()), f"several runs of a lane are not told to stop: {untold}"

    def check_run(self, told: Told, entry: Entry) -> None:
        by = self.seen.mark("superseded", told.job_id)
        assert by is None, f"{told} runs, though {by} superseded it"

    def check_end(self, told: Told, held: Refused | Running, outcome: Outcome) -> None:
        """Only a newer job of the lane supersedes; so the last one runs."""
        if isinstance(outcome, Superseded):
            newer = self.told[outcome.by]
            assert newer.key == told.key, f"{told} was superseded by another lane's {newer}"
            assert newer.number > told.number, f"{told} was superseded by an older one, {newer}"

    def check_drained(self) -> None:
        for told in {told.key: told for told in sorted(self.told.values(), key=lambda told: told.number)}.values():
            assert told.runs or told.is_cancelled or told.is_meddled, f"the last of its lane never ran: {told}"
        self.check_nothing_left()


def test_lanes_hold_whatever_happens(stage: Stage) -> None:
    play(Lanes, stage)
