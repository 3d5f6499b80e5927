"""Watched: one example as it goes on, what is known of it, and what must hold after each step and at its end."""

from __future__ import annotations

from collections.abc import Coroutine, Sequence
from typing import Any, ClassVar, TypeVar, Unpack

from hypothesis.stateful import RuleBasedStateMachine

from jobqueue import Handler, steering
from jobqueue.job import EnqueueOptions
from jobqueue.transitions import Entry
from jobqueue.worker.care import CARE_MS
from jobqueue.worker.outcomes import Cancelled, Outcome, Superseded
from tests.models.hand import Claimed, Hand, How, Refused, Running
from tests.models.seen import Seen, check_everywhere, look
from tests.models.stage import Stage
from tests.models.told import Asked, Told
from tests.models.tools import Tools
from tests.support.foreign import add_foreign

T = TypeVar("T")

HANDS = 3
UNFINISHED = ("wait", "prioritized", "delayed", "waiting-children", "active")
_DAY_MS = 24 * 60 * 60 * 1_000
_MAX_STALLED = 2


class Watched(RuleBasedStateMachine):
    """An app on an empty Redis, and three slots of workers."""

    stage: ClassVar[Stage]
    handlers: ClassVar[Sequence[Handler[Any]]]

    def __init__(self) -> None:
        super().__init__()
        self.clock = self.stage.clock
        self.app = self.stage.open_app(self.handlers)
        self.queue = self.app.queue()
        self.tools = Tools(self.app)
        self.hands = [Hand(self.app, number, fetches=number > 0) for number in range(HANDS)]
        self.told: dict[str, Told] = {}
        self.without_lock, self.lost = set[str](), set[str]()
        self.seen = Seen()
        self.count = 0
        self._is_sound = True

    def do(self, call: Coroutine[Any, Any, T]) -> T:
        """Run one call of the product to its end."""
        self._is_sound = False
        return self.stage.run(call)

    def see(self) -> None:
        self.stage.steps += 1
        self.seen = self.do(look(self.app))
        check_everywhere(self.seen, self.without_lock, self.lost)
        held = {(hand.job_id, hand.claimant.token) for hand in self.hands}
        leaked = [lock for lock in self.seen.locks.items() if lock[0] in self.seen.stored and lock not in held]
        assert not leaked, f"locked under tokens that do not hold them: {leaked}"
        self.check()
        self._is_sound = True

    # What each model adds

    def check(self) -> None:
        """Whether the pattern holds, by what is `seen` now."""

    def check_run(self, told: Told, entry: Entry) -> None:
        """Whether the job was allowed to run, by what was `seen` before."""

    def check_entry(self, told: Told, entry: Entry) -> None:
        """Whether a job that was picked up was answered rightly, whatever the answer."""

    def check_end(self, told: Told, held: Refused | Running, outcome: Outcome) -> None:
        """Whether the job was allowed to end so."""

    def let_go(self, told: Told) -> None:
        """The job has ended, and what it held was given back."""

    def check_drained(self) -> None:
        """Whether nothing is owed or left, when all is quiet."""

    def pass_time(self) -> None:
        """To when more can be done."""
        self.clock.now_ms += _DAY_MS

    def rest(self) -> None:
        """What time does, when all is quiet."""

    def check_all_ran(self) -> None:
        """Every job was let run, but those that were cancelled, skipped or taken out of our hands."""
        left_out = [told for told in self.told.values() if not (told.runs or told.has_ended or told.is_meddled)]
        assert not left_out, f"never ran: {left_out}"

    def check_nothing_left(self) -> None:
        """No key of ours but those of jobs that were taken out of our hands, which end by themselves."""
        for key in self.seen.own.values():
            left = [job_id for job_id in key.owners if not self.told[job_id].is_meddled]
            assert not left, f"{left} left in {key}"
            assert key.ttl_ms > 0, f"without an end: {key}"

    # Adding jobs

    def enqueue(
        self, handler: Handler[Any], payload: Any, key: str, asked: Asked, **options: Unpack[EnqueueOptions]
    ) -> Told | None:
        """Store a job; None where its id exists. Raises: DuplicateJob."""
        self.clock.now_ms += 1
        options["delay_ms"], options["priority"] = asked.delay_ms, asked.priority
        ties = f"{key}-{options.get('order_key', '')}".replace(":", "-")
        job_id = f"{asked.job_id}-{ties}"  # a job of the same id has the same ties
        if asked.job_id is not None and not self._is_lost(job_id):
            options["job_id"] = job_id
        enqueued = self.do(self.app.enqueue_job(handler, payload, **options))
        return self.tell(enqueued.job_id, key) if enqueued.created else None

    def enqueue_foreign(self, handler: Handler[Any], data: str, key: str) -> Told:
        self.clock.now_ms += 1
        told = self.tell(self.do(add_foreign(self.app, handler.name, data, {"attempts": 3})), key)
        told.is_ours = False
        return told

    def tell(self, job_id: str, key: str) -> Told:
        self.count += 1
        self.told[job_id] = Told(job_id, self.count, key)
        return self.told[job_id]

    def running(self) -> list[tuple[Told, Running]]:
        """The runs that count: whose job is there, and still theirs."""
        held = [(hand, hand.holding) for hand in self.hands if isinstance(hand.holding, Running)]
        return [
            (self.told[run.job.id], run)
            for hand, run in held
            if self.seen.locks.get(run.job.id) == hand.claimant.token and run.job.id in self.seen.stored
        ]

    def _is_lost(self, job_id: str) -> bool:
        """Its hash is gone, its id is not: a new job of that id would be in two places, by no fault of ours."""
        return job_id not in self.seen.stored and any(job_id in place for place in self.seen.places.values())

    # Moving them

    def move(self, hand: Hand, how: How = "completes") -> None:
        """Claim a job, or have it enter, or end its try."""
        self._step(hand, how)
        self.see()

    def _step(self, hand: Hand, how: How) -> None:
        match hand.holding:
            case None:
                self.do(hand.claim())
                if hand.job_id is not None:
                    self.without_lock.discard(hand.job_id)
            case Claimed() as claimed:
                self._enter(hand, claimed)
            case Refused() | Running() as held:
                self._end(hand, held, how)

    def _enter(self, hand: Hand, claimed: Claimed) -> None:
        told = self.told[str(claimed.fetched.job_id)]
        entry = self.do(hand.enter(claimed))
        if entry is None:
            return
        self.check_entry(told, entry)
        if entry.verdict == "run":
            assert not told.is_cancelled, f"{told} runs, though it was cancelled"
            self.check_run(told, entry)
            told.runs += 1

    def _end(self, hand: Hand, held: Refused | Running, how: How) -> None:
        told = self.told[held.job.id]
        was_cancelled = told.is_cancelled
        outcome = self.do(hand.end(held, how))
        if outcome is None:
            return
        told.has_ended = not self._is_left(held.job.id)
        heeded = isinstance(outcome, Cancelled | Superseded)
        assert heeded or not was_cancelled, f"{told} was cancelled, and ended as {outcome}"
        self.check_end(told, held, outcome)
        if told.has_ended:
            self.let_go(told)

    def _is_left(self, job_id: str) -> bool:
        return not bool(self.do(self.app.client.call("HEXISTS", self.queue.keys.job(job_id), "finishedOn")))

    def repair(self) -> None:
        """As a worker's GateRepair does, without its interval."""
        limits = {one.name: one.policy.concurrency.max if one.policy.concurrency else 0 for one in self.app.registry}
        self.do(steering.repair_gates(self.queue, limits, 0))

    def check_stalled(self) -> None:
        self._expire_locks_of_lost_jobs()
        self.do(self.app.client.call("DEL", self.queue.keys.of("stalled-check")))
        self.without_lock -= set(self.do(self.queue.move_stalled(_MAX_STALLED, 30_000, CARE_MS)).job_ids)

    def _expire_locks_of_lost_jobs(self) -> None:
        """A worker that cannot record what became of a lost job lets go of it, and renews its lock no more."""
        for job_id in self.seen.locks:
            if job_id not in self.seen.stored and not any(hand.job_id == job_id for hand in self.hands):
                self.do(self.app.client.call("DEL", self.queue.keys.job_lock(job_id)))
                self.without_lock.add(job_id)

    # The end

    def teardown(self) -> None:
        """After the last step all work is done, and then nothing may be left. Not after a step that failed."""
        try:
            if self._is_sound:
                self._drain()
        finally:
            self.stage.close_app()

    def _drain(self) -> None:
        self.do(self.tools.pause(resume=True))
        for _ in range(4 * len(self.told) + 10):
            self.pass_time()
            self.check_stalled()
            self.repair()
            self.rest()
            self._work_off()
            if self._is_quiet():
                break
        left = {place: ids for place in UNFINISHED if (ids := self._owed(place))}
        assert not left, f"these never ended: {left}"
        self.check_drained()

    def _work_off(self) -> None:
        """All that can be done at this instant. A claim, an entry and an end are three moves, and no hand finds a job
        more often than there are jobs.
        """
        for _ in range(3 * len(self.told) + 3):
            for hand in self.hands:
                self.move(hand)
            if self._is_idle():
                break

    def _is_idle(self) -> bool:
        return all(hand.holding is None for hand in self.hands)

    def _is_quiet(self) -> bool:
        return not any(map(self._owed, UNFINISHED)) and self._is_idle()

    def _owed(self, place: str) -> list[str]:
        """An id without a job may stay in waiting-children: whoever lost the job took it out of our hands."""
        ids = self.seen.places[place]
        return [job_id for job_id in ids if place != "waiting-children" or job_id in self.seen.stored]
