"""Rate limits, step by step: in no stretch of time do more jobs start than the rate allows, and all have their turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

from hypothesis import strategies as st
from hypothesis.stateful import rule

from jobqueue import JobContext, make_job
from jobqueue.transitions import Entry
from tests.models.machine import QueueMachine, play
from tests.models.stage import Stage
from tests.models.told import Asked, Told, asked

PER_MS = 60_000
MOST = {"once": 1, "twice": 2}

names = st.sampled_from(sorted(MOST))


@make_job(rate_limit=(MOST["once"], PER_MS))
async def once(ctx: JobContext) -> None: ...


@make_job(rate_limit=(MOST["twice"], PER_MS))
async def twice(ctx: JobContext) -> None: ...


class Rates(QueueMachine):
    handlers = (once, twice)

    def __init__(self) -> None:
        super().__init__()
        self.starts: dict[str, list[int]] = defaultdict(list)
        self.promised: dict[str, int] = {}

    @rule(name=names, options=asked)
    def add(self, name: str, options: Asked) -> None:
        self.enqueue(self.app.registry.get(name), None, name, options)

    @rule(name=names, several=st.integers(1, 4))
    def add_foreign(self, name: str, several: int) -> None:
        for _ in range(several):
            self.enqueue_foreign(self.app.registry.get(name), '{"type":"adhoc","payload":null}', name)

    @rule(late_ms=st.lists(st.sampled_from([0, 1, 400, PER_MS + 1]), min_size=1, max_size=6))
    def take_turns(self, late_ms: Sequence[int]) -> None:
        """Turn after turn comes, and is taken by a worker that is a little late, or a lot."""
        for by_ms in late_ms:
            self.clock.now_ms = min(self._turns_to_come(), default=self.clock.now_ms) + by_ms
            for hand in self.hands * 3:
                self.move(hand)

    def pass_time(self) -> None:
        """Turn by turn: who does not come to his turn for long is given another."""
        if turns_ms := self._turns_to_come():
            self.clock.now_ms = min(turns_ms)
        else:
            super().pass_time()

    def _turns_to_come(self) -> list[int]:
        return [turn_ms for turn_ms in self.promised.values() if turn_ms > self.clock.now_ms]

    def check_entry(self, told: Told, entry: Entry) -> None:
        """Who is put off has a turn to come, which is not further away than the line is long; it may move up later, and
        back for those that are more urgent.
        """
        if entry.verdict == "booked":
            self.promised[told.job_id] = self.clock.now_ms + entry.wait_ms
            in_line = sum(1 for other in self.told.values() if other.key == told.key and not other.has_ended)
            assert 0 < entry.wait_ms <= PER_MS * (in_line + 1), f"{told} waits {entry.wait_ms} ms among {in_line}"

    def check_run(self, told: Told, entry: Entry) -> None:
        now_ms = self.clock.now_ms
        self.promised.pop(told.job_id, None)
        self.starts[told.key].append(now_ms)
        recent = [start_ms for start_ms in self.starts[told.key] if start_ms > now_ms - PER_MS]
        assert len(recent) <= MOST[told.key], (
            f"{told} is one of {len(recent)} that started within {PER_MS} ms: {recent}"
        )

    def let_go(self, told: Told) -> None:
        self.promised.pop(told.job_id, None)

    def check_drained(self) -> None:
        self.check_all_ran()
        self.check_nothing_left()


def test_rates_hold_whatever_happens(stage: Stage) -> None:
    play(Rates, stage)
