"""Machine: the steps that every model takes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Literal

from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, run_state_machine_as_test

from jobqueue import DuplicateJob
from jobqueue.errors import JobFinished, JobNotFound, JobNotInState, MalformedJob
from tests.models.hand import Claimed, Hand, How, Running
from tests.models.stage import Stage, profile
from tests.models.told import Told
from tests.models.watched import HANDS, UNFINISHED, Watched

ToolAct = Literal["remove", "retry", "promote", "change priority", "lose", "finish"]
PersonAct = Literal["cancel", "retry by hand"]
UpkeepAct = Literal["stalled check", "repair", "flush scripts", "pause", "resume"]

hands = st.integers(0, HANDS - 1)
picks = st.integers(0, 9)


class QueueMachine(Watched):
    """Workers that work, die and freeze, other tools, people, and time."""

    @rule(numbers=st.lists(hands, min_size=1, max_size=6))
    def work(self, numbers: Sequence[int]) -> None:
        for number in numbers:
            self.move(self.hands[number])

    @rule(number=hands, how=st.sampled_from(["fails", "retries at once", "retries later", "snoozes", "releases"]))
    def end(self, number: int, how: How) -> None:
        self.move(self.hands[number], how)

    @rule(number=hands, is_killed=st.booleans(), is_noticed=st.booleans())
    def lose_lock(self, number: int, is_killed: bool, is_noticed: bool) -> None:
        """The lock of a job expires: its worker was killed, or is frozen and will go on later."""
        hand = self.hands[number]
        if hand.job_id is None:
            return
        if self.seen.locks.get(hand.job_id) == hand.claimant.token:
            self.do(self.app.client.call("DEL", self.queue.keys.job_lock(hand.job_id)))
            self.without_lock.add(hand.job_id)
        if is_killed:
            hand.forget()
        if is_noticed:
            self.check_stalled()
            self.check_stalled()

    @rule(number=hands)
    def redeliver(self, number: int) -> None:
        """A worker freezes while it runs a job, and others claim the job again."""
        if isinstance(self.hands[number].holding, Running):
            self.lose_lock(number, is_killed=False, is_noticed=True)
            for hand in self.hands:
                if hand is not self.hands[number]:
                    self.move(hand)
                    self.move(hand)

    @rule(act=st.sampled_from(["remove", "retry", "promote", "change priority", "lose", "finish"]), pick=picks)
    def tool(self, act: ToolAct, pick: int) -> None:
        """Somebody else's BullMQ."""
        match act:
            case "remove" if told := self._pick(UNFINISHED, pick):
                self._meddle(told, self.do(self.tools.remove(told.job_id)))
            case "retry" if told := self._pick(("failed", "completed"), pick):
                state = "failed" if told.job_id in self.seen.places["failed"] else "completed"
                self._meddle(told, self.do(self.tools.retry(told.job_id, state)))
            case "promote" if told := self._pick(("delayed",), pick):
                self.do(self.tools.promote(told.job_id))
            case "change priority" if told := self._pick(("wait", "prioritized", "waiting-children", "delayed"), pick):
                self.do(self.tools.change_priority(told.job_id, pick % 3))
            case "lose" if told := self._pick(UNFINISHED, pick):
                self._meddle(told, self.do(self.tools.lose(told.job_id)))
                self.lost.add(told.job_id)
            case "finish":
                self._finish_elsewhere(self.hands[pick % HANDS])
            case _:
                return

    @rule(act=st.sampled_from(["cancel", "retry by hand"]), pick=picks)
    def person(self, act: PersonAct, pick: int) -> None:
        """Somebody at our own screens."""
        if act == "cancel":
            told = self._pick(("active", *UNFINISHED), pick)
            if told is not None:
                self._cancel(told)
        else:
            told = self._pick(("failed",), pick)
            if told is not None:
                self._retry_by_hand(told)

    @rule(act=st.sampled_from(["stalled check", "repair", "flush scripts", "pause", "resume"]))
    def upkeep(self, act: UpkeepAct) -> None:
        match act:
            case "stalled check":
                self.check_stalled()
            case "repair":
                self.repair()
            case "flush scripts":
                self.do(self.app.client.call("SCRIPT", "FLUSH"))
            case "pause" | "resume":
                self.do(self.tools.pause(resume=act == "resume"))

    @rule(by_ms=st.sampled_from([1, 400, 1_000]))
    def wait(self, by_ms: int) -> None:
        self.clock.now_ms += by_ms

    @invariant()
    def holds(self) -> None:
        self.see()

    # How a step is taken

    def _pick(self, places: Sequence[str], pick: int) -> Told | None:
        ids = [job_id for place in places for job_id in self.seen.places[place] if job_id in self.told]
        return self.told[ids[pick % len(ids)]] if ids else None

    def _meddle(self, told: Told, has_happened: bool) -> None:
        told.is_meddled |= has_happened
        told.is_cancelled &= not has_happened

    def _finish_elsewhere(self, hand: Hand) -> None:
        """This slot was a Node worker's, which asks nobody whether a job may run."""
        if isinstance(hand.holding, Claimed) and hand.job_id in self.told:
            told = self.told[hand.job_id]
            self._meddle(told, self.do(self.tools.finish(told.job_id, hand.claimant)))
            hand.forget()

    def _cancel(self, told: Told) -> None:
        try:
            answer = self.do(self.app.cancel_job(told.job_id, "not wanted"))
        except (JobNotFound, JobFinished, MalformedJob):
            return
        told.is_cancelled = True
        if answer == "cancelled":
            told.has_ended = True
            self.let_go(told)

    def _retry_by_hand(self, told: Told) -> None:
        try:
            self.do(self.app.retry_job(told.job_id))
        except (DuplicateJob, JobNotInState, JobNotFound):
            return
        told.is_cancelled = False


def play(machine: type[QueueMachine], stage: Stage) -> None:
    """Let hypothesis look for steps after which an invariant does not hold."""
    machine.stage = stage
    began_s = time.monotonic()
    try:
        run_state_machine_as_test(machine, settings=profile())
    finally:
        stage.took_s = time.monotonic() - began_s
