"""Duplicates and related jobs, step by step: never two unfinished where they are refused, and free again afterwards."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import rule

from jobqueue import DuplicateJob, JobContext, make_job, make_superseding_job
from tests.models.machine import QueueMachine, play
from tests.models.stage import Stage
from tests.models.told import Asked, Told, asked

orders = st.sampled_from(["7", "8"])


@make_job(duplicates="reject")
async def ship(ctx: JobContext) -> None: ...


@make_superseding_job(dedupe_key=lambda order: order, duplicates="reject")
async def bill(ctx: JobContext, order: str) -> None: ...


class Duplicates(QueueMachine):
    handlers = (ship, bill)

    @rule(order=orders, options=asked)
    def add_related(self, order: str, options: Asked) -> None:
        key = f"ship:{order}"
        holders = self._holders(key, options)
        try:
            told = self.enqueue(ship, None, key, options, related=("order", order))
        except DuplicateJob as error:
            self._check_refused(key, error)
        else:
            assert told is None or not holders, f"{told} duplicates {holders}"

    @rule(order=orders, options=asked)
    def add_with_key(self, order: str, options: Asked) -> None:
        key = f"bill:{order}"
        holders = self._holders(key, options)
        try:
            told = self.enqueue(bill, order, key, options)
        except DuplicateJob as error:
            self._check_refused(key, error)
        else:
            assert told is None or not holders, f"{told} duplicates {holders}"

    @rule(order=orders)
    def add_foreign(self, order: str) -> None:
        data = f'{{"type":"adhoc","payload":null,"related":{{"type":"order","id":"{order}"}}}}'
        self.enqueue_foreign(ship, data, f"ship:{order}")

    @rule(order=orders)
    def cancel_related(self, order: str) -> None:
        cancelled = self.do(self.app.cancel_jobs(related=("order", order), reason="not wanted"))
        for job_id in cancelled["jobs"]:
            self.told[job_id].is_cancelled = True

    def check(self) -> None:
        at_once = Counter(told.key for told, _ in self.running())
        assert all(count == 1 for count in at_once.values()), f"duplicates run at once: {at_once}"
        for order in ("7", "8"):
            self._check_index(order)

    def check_drained(self) -> None:
        self.check_nothing_left()
        for order in ("7", "8"):
            self.enqueue(ship, None, f"ship:{order}", Asked(), related=("order", order))
            self.enqueue(bill, order, f"bill:{order}", Asked())

    def _holders(self, key: str, options: Asked) -> list[Told]:
        """The jobs that refuse another one: unfinished, and enqueued by us."""
        return [
            told
            for told in self.told.values()
            if told.key == key and told.is_ours and not told.is_meddled and self.seen.is_unfinished(told.job_id)
        ]

    def _check_refused(self, key: str, error: DuplicateJob) -> None:
        other = self.told[error.job_id]
        assert other.key == key, f"a duplicate of {key} was refused because of {other}"
        assert self.seen.is_unfinished(other.job_id), f"refused because of {other}, which has ended"

    def _check_index(self, order: str) -> None:
        """Every unfinished job about an object is among its jobs, and nobody else but those taken out of our hands."""
        key = self.seen.own.get(f"job:related:order:{order}")
        members = set(key.value if key else ())
        about = {told.job_id: told for told in self.told.values() if told.key == f"ship:{order}"}
        missing = [t for i, t in about.items() if self._holds_still(t) and i not in members]
        assert not missing, f"not among the jobs of order {order}: {missing}"
        over = [i for i in members if not self.seen.is_unfinished(i) and not self.told[i].is_meddled]
        assert not over, f"among the jobs of order {order}, but ended: {over}"

    def _holds_still(self, told: Told) -> bool:
        return told.is_ours and not told.is_meddled and self.seen.is_unfinished(told.job_id)


def test_duplicates_are_refused_whatever_happens(stage: Stage) -> None:
    play(Duplicates, stage)
