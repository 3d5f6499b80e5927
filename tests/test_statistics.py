"""The shape of the figures: buckets, their quantiles, and what is kept in Redis."""

from __future__ import annotations

import random

import pytest

from jobqueue.packing import pack
from jobqueue.statistics import (
    MAX_NAME,
    RAN,
    RELATIVE_ERROR,
    WAITED,
    Counts,
    bucket_of,
    clean_name,
    flat,
    merged,
    quantile_ms,
    sum_of_rows,
)


def row_of(value: object) -> str:
    """A value as the client reads it from Redis."""
    return pack(value).decode("utf-8", "surrogateescape")


def counted(kind: int, durations_ms: list[float]) -> Counts:
    return merged({kind + bucket_of(duration_ms): 1} for duration_ms in durations_ms)


@pytest.mark.parametrize("share", [0.01, 0.5, 0.95, 0.99, 1.0])
@pytest.mark.parametrize("spread", [1.0, 50.0, 3_600_000.0])
def test_a_quantile_is_within_the_stated_error(share: float, spread: float) -> None:
    chance = random.Random(7)
    durations_ms = sorted(0.01 + spread * chance.random() ** 3 for _ in range(2_000))
    exact_ms = durations_ms[max(round(share * len(durations_ms)), 1) - 1]

    told_ms = quantile_ms(counted(RAN, durations_ms), RAN, share)

    assert told_ms is not None
    assert exact_ms / (1 + RELATIVE_ERROR) <= told_ms <= exact_ms * (1 + RELATIVE_ERROR)


@pytest.mark.parametrize("duration_ms", [0.01, 0.5, 1, 7, 1_000, 86_400_000, 30 * 86_400_000])
def test_where_all_took_as_long_every_quantile_says_so(duration_ms: float) -> None:
    counts = counted(WAITED, [duration_ms] * 10)

    assert quantile_ms(counts, WAITED, 0.5) == pytest.approx(duration_ms, rel=RELATIVE_ERROR)
    assert quantile_ms(counts, WAITED, 0.95) == pytest.approx(duration_ms, rel=RELATIVE_ERROR)


def test_nothing_measured_has_no_quantile() -> None:
    assert quantile_ms({}, RAN, 0.5) is None
    assert quantile_ms(counted(WAITED, [5]), RAN, 0.5) is None


@pytest.mark.parametrize("duration_ms", [0, -1, -(10**15), 10**15, 2**53])
def test_a_duration_that_cannot_be_is_counted_in_the_first_bucket_or_the_last(duration_ms: float) -> None:
    assert bucket_of(duration_ms) == (0 if duration_ms <= 0 else bucket_of(10**18))


def test_figures_of_two_workers_add_up() -> None:
    assert merged([{0: 2, RAN: 1}, {0: 3, WAITED: 4}]) == {0: 5, RAN: 1, WAITED: 4}


def test_counts_are_read_as_they_were_written() -> None:
    counts = counted(RAN, [1, 2, 3, 1_000])

    assert sum_of_rows([row_of(flat(counts)), None, "", row_of(flat(counts))]) == merged([counts, counts])


NO_ROWS: list[object] = [{}, 7, None, "text", [1]]
NO_NUMBERS: list[object] = [["a", 1], [1.5, 2], [True, 3], [[1], 2], [1, None], [-1, 2], [1, 2**60]]


@pytest.mark.parametrize("value", [*NO_ROWS, *NO_NUMBERS])
def test_a_row_that_nobody_of_ours_wrote_counts_nothing(value: object) -> None:
    assert sum_of_rows([row_of(value)]) == {}


@pytest.mark.parametrize("row", ["{}", "no msgpack", "\udcff", "\udc91" * 100_000, "\udc92\x01"])
def test_a_row_that_is_no_msgpack_counts_nothing(row: str) -> None:
    assert sum_of_rows([row]) == {}


def test_a_row_that_cannot_be_read_does_not_spoil_the_others() -> None:
    assert sum_of_rows(["no msgpack", row_of([0, 3])]) == {0: 3}


def test_a_name_from_outside_is_short_text() -> None:
    assert clean_name("x" * 10_000) == "x" * MAX_NAME
    assert clean_name("a\udcffb") == "a?b"
    assert clean_name("") == "?"
