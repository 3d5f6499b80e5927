"""The proof finds what is wrong, and nothing else."""

from __future__ import annotations

from itertools import chain

from hypothesis import given
from hypothesis import strategies as st

from handlers.channel.proof import Seen, off_the_diagram, out_of_order, overlapping
from handlers.channel.states import TRANSITIONS, State

NUMBERS = st.integers(min_value=2, max_value=6)


def turn(number: int) -> list[Seen]:
    """The try of a job that was enqueued as the so-many-th."""
    return [Seen(f"job-{number}", number, "began"), Seen(f"job-{number}", number, "ended")]


def turns(*numbers: int) -> list[Seen]:
    return list(chain.from_iterable(map(turn, numbers)))


@given(st.lists(st.integers(1, 3), min_size=1, max_size=6))
def test_jobs_with_any_number_of_tries_each_one_after_another_are_right(tries: list[int]) -> None:
    seen = turns(*(number for number, times in enumerate(tries) for _ in range(times)))

    assert out_of_order(seen) == []
    assert overlapping(seen) == []


@given(NUMBERS, st.data())
def test_a_job_that_begins_before_an_earlier_one_is_found(jobs: int, data: st.DataObject) -> None:
    early = data.draw(st.integers(1, jobs - 1))
    numbers = list(range(jobs))
    numbers[early - 1], numbers[early] = numbers[early], numbers[early - 1]

    assert out_of_order(turns(*numbers)) == [f"job-{early - 1}"]


@given(NUMBERS, st.data())
def test_a_job_that_begins_before_the_one_before_it_is_over_is_found(jobs: int, data: st.DataObject) -> None:
    second = data.draw(st.integers(1, jobs - 1))
    seen = turns(*range(jobs))
    seen[2 * second - 1], seen[2 * second] = seen[2 * second], seen[2 * second - 1]

    assert f"job-{second}" in overlapping(seen)


def test_a_job_that_is_run_again_by_hand_after_later_ones_is_no_disorder() -> None:
    assert out_of_order(turns(1, 2, 1)) == []


def test_a_killed_try_may_be_followed_by_another_one_of_the_same_job_only() -> None:
    killed = turn(1)[:1]

    assert overlapping([*killed, *turn(1), *turn(2)]) == []
    assert overlapping([*killed, *turn(2)]) == ["job-2"]


def test_a_step_beside_the_diagram_is_found() -> None:
    first, second = (one for one in TRANSITIONS if one.by in ("preChannelCreate", "afterChannelCreate"))

    assert off_the_diagram([first, second], State.OPEN, TRANSITIONS) == []
    assert off_the_diagram([second], State.OPEN, TRANSITIONS) == ["opening by afterChannelCreate to open"]
    assert off_the_diagram([first], State.OPEN, TRANSITIONS) == ["it is open, and its last step led to opening"]
