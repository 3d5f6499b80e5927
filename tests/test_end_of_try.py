"""What a handler raises to end its try: each is refused where it is made, if it cannot be meant."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jobqueue.errors import Discard, EndOfTry, JobqueueError, Retry, Snooze, WaitForChildren
from jobqueue.job import MAX_DELAY_MS

NOT_A_DELAY: list[Any] = [-1, 1.5, "5", True, MAX_DELAY_MS + 1, float("nan"), 10**30, [], {}]


@pytest.mark.parametrize(
    ("make", "value"),
    [
        *((Retry, value) for value in NOT_A_DELAY),
        *((Snooze, value) for value in [*NOT_A_DELAY, 0, None]),
        *((Discard, value) for value in ["", " ", "\n", None, 5, b"gone", ["gone"]]),
    ],
)
def test_an_argument_that_cannot_be_meant_is_refused_and_shown(make: Callable[[Any], EndOfTry], value: Any) -> None:
    with pytest.raises(ValueError, match=rf"^{getattr(make, '__name__', '')}: .* must be "):
        make(value)


def test_a_delay_in_range_is_kept() -> None:
    assert [Retry().delay_ms, Retry(0).delay_ms, Retry(MAX_DELAY_MS).delay_ms] == [None, 0, MAX_DELAY_MS]
    assert [Snooze(1).delay_ms, Snooze(delay_ms=MAX_DELAY_MS).delay_ms] == [1, MAX_DELAY_MS]


def test_the_reason_of_a_discarded_job_is_its_message() -> None:
    discard = Discard("the order was deleted")

    assert (discard.reason, str(discard)) == ("the order was deleted", "the order was deleted")


@pytest.mark.parametrize("end", [Retry(), Snooze(5), Discard("gone"), WaitForChildren()], ids=repr)
def test_each_is_of_our_error_tree_and_says_something(end: EndOfTry) -> None:
    assert isinstance(end, JobqueueError)
    assert str(end)
