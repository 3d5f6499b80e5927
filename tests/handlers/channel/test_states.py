"""The table of transitions, and what it allows."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from handlers.channel import registry
from handlers.channel.states import FINAL, MOVERS, TRANSITIONS, NotAllowed, State, after

STATES = st.sampled_from(State)
JOBS = st.sampled_from(sorted(MOVERS))
ARROWS = {(arrow.at, arrow.by): arrow.to for arrow in TRANSITIONS}


@given(STATES, JOBS)
def test_a_step_is_allowed_exactly_where_the_table_has_an_arrow(state: State, job: str) -> None:
    if (state, job) in ARROWS:
        assert after(state, job) is ARROWS[state, job]
    else:
        with pytest.raises(NotAllowed, match=f"^{job} is not for a channel that is {state}; possible is "):
            after(state, job)


@given(st.lists(JOBS, max_size=60))
def test_whatever_is_asked_for_a_channel_can_still_come_to_its_end(jobs: list[str]) -> None:
    state = State.PENDING
    for job in jobs:
        state = ARROWS.get((state, job), state)

    reached = {state}
    for _ in State:
        reached |= {arrow.to for arrow in TRANSITIONS if arrow.at in reached}
    assert reached & FINAL


def test_a_job_leads_from_a_state_to_one_other_only() -> None:
    assert len(ARROWS) == len(TRANSITIONS)


def test_the_ends_of_a_life_are_those_that_no_arrow_leaves() -> None:
    assert {State.CLOSED, State.SETTLED, State.WITHDRAWN} == FINAL


def test_every_arrow_is_a_handler_whose_jobs_are_in_order() -> None:
    handlers = {handler.name: handler for handler in registry}

    assert handlers.keys() >= MOVERS
    assert all(handlers[name].policy.ordered for name in MOVERS)
