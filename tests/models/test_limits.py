"""Limits, step by step: never more of a partition at once than its limit, every job runs, and no place is lost."""

from __future__ import annotations

from collections import Counter

from hypothesis import strategies as st
from hypothesis.stateful import rule

from jobqueue import JobContext, limit, make_job
from tests.models.machine import QueueMachine, play
from tests.models.seen import check_gates
from tests.models.stage import Stage
from tests.models.told import Asked, asked

tenants = st.sampled_from(["large", "small"])
order_keys = st.sampled_from([None, None, "a"])


@make_job(concurrency=limit(2, by=lambda tenant: tenant))
async def serve(ctx: JobContext, tenant: str) -> None: ...


class Limits(QueueMachine):
    handlers = ()

    def __init__(self) -> None:
        super().__init__()
        self.most = self.most_ever = 2
        self._handler_id = self.app.registry.add(serve)

    @rule(most=st.integers(1, 3))
    def change_limit(self, most: int) -> None:
        """The service is deployed with another limit."""
        self.most, self.most_ever = most, max(most, self.most_ever)
        self.app.registry.remove(self._handler_id)
        self._handler_id = self.app.registry.add(serve.with_policy(concurrency=most))

    @rule(tenant=tenants, options=asked, order_key=order_keys)
    def add(self, tenant: str, options: Asked, order_key: str | None) -> None:
        if order_key is None:
            self.enqueue(serve, tenant, tenant, options)
        else:
            self.enqueue(serve, tenant, tenant, options, order_key=order_key)

    @rule(tenant=tenants)
    def add_foreign(self, tenant: str) -> None:
        self.enqueue_foreign(serve, f'{{"type":"adhoc","payload":"{tenant}"}}', tenant)

    def check(self) -> None:
        check_gates(self.seen)
        at_once = Counter(told.key for told, _ in self.running())
        assert all(n <= self.most_ever for n in at_once.values()), f"more at once than {self.most_ever}: {at_once}"
        resting = [i for gate in self.seen.of_kind("limit") for i in gate.holders if i in self.seen.places["delayed"]]
        assert not resting, f"waiting for their next try, in a place that others might run in: {resting}"
        overfull = [gate for gate in self.seen.of_kind("limit") if len(gate.holders) > self.most_ever]
        assert not overfull, f"more let through than {self.most_ever}: {overfull}"

    def check_drained(self) -> None:
        self.check_all_ran()
        self.check_nothing_left()
        for tenant in ("large", "small"):
            self._check_places(tenant)

    def _check_places(self, tenant: str) -> None:
        """As many as the limit run at once again: a place that a job took with it is found by the next repair."""
        for _ in range(self.most + 1):
            self.enqueue(serve, tenant, tenant, Asked())
        self.repair()
        for hand in self.hands * 2:
            self.move(hand)
        assert len(self.running()) == self.most, f"{len(self.running())} run at once of {tenant}, not {self.most}"
        for hand in self.hands * 6:
            self.move(hand)


def test_limits_hold_whatever_happens(stage: Stage) -> None:
    play(Limits, stage)
