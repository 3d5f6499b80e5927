"""Results: medians, percentiles and the ratio within the round."""

from __future__ import annotations

import pytest

from jobqueue.bench.results import Results, Spread, percentile
from jobqueue.bench.workloads import Target, workloads_named
from tests.bench.samples import RESULTS

(DRAIN,) = workloads_named(("drain-100",))


def figures_of(spread: Spread | None) -> tuple[float, float, float]:
    assert spread is not None
    return spread.median, spread.low, spread.high


def test_a_spread_is_the_median_with_the_lowest_and_the_highest() -> None:
    assert RESULTS.spread("drain-100", "jobqueue", "speed") == Spread(20_000, 12_000, 30_000)


def test_a_ratio_is_taken_within_each_round_before_the_median() -> None:
    # given rounds of 1.5, 1.2 and 1.0; the ratio of the medians would be 1.0
    ratio = RESULTS.ratio("drain-100", "jobqueue", "node", "speed")

    # then
    assert figures_of(ratio) == pytest.approx((1.2, 1.0, 1.5))


def test_a_round_that_the_other_peer_did_not_end_counts_for_no_ratio() -> None:
    # given
    without = Results(tuple(run for run in RESULTS.runs if (run.peer, run.round) != ("node", 2)))

    # when
    ratio = without.ratio("drain-100", "jobqueue", "node", "speed")

    # then
    assert figures_of(ratio) == pytest.approx((1.25, 1.0, 1.5))


def test_what_was_not_measured_has_no_figure() -> None:
    assert RESULTS.spread("drain-100", "celery", "speed") is None
    assert RESULTS.ratio("drain-100", "jobqueue", "celery", "speed") is None


@pytest.mark.parametrize(("percent", "figure"), [(50, 2.0), (75, 3.0), (99, 4.0), (100, 4.0), (1, 1.0)])
def test_a_percentile_is_a_figure_that_was_measured(percent: float, figure: float) -> None:
    assert percentile([4.0, 1.0, 3.0, 2.0], percent) == figure


@pytest.mark.parametrize(("bound", "reached"), [(1.1, True), (1.3, False)])
def test_a_target_against_a_peer_is_a_ratio(bound: float, reached: bool) -> None:
    # when
    found = RESULTS.reached(DRAIN, Target("speed", bound, "node"), "jobqueue")

    # then
    assert found is not None
    assert (round(found[0], 6), found[1]) == (1.2, reached)


@pytest.mark.parametrize(("bound", "reached"), [(48, True), (47, False)])
def test_a_target_without_a_peer_is_the_most_that_it_may_be(bound: float, reached: bool) -> None:
    (idle,) = workloads_named(("idle",))
    assert RESULTS.reached(idle, Target("rss_mb", bound), "jobqueue") == (48.0, reached)
