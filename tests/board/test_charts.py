"""Charts: numbers become shapes that stay in their box, and words that say the same."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from board import charts
from board.charts import HEIGHT, WIDTH
from jobqueue.inspector.statistics import Point, Span, Statistics

MINUTE_MS = 60_000
AT_MS = 1_800_000_000_000


def statistics(*points: Point, total: Point | None = None) -> Statistics:
    return Statistics(MINUTE_MS, points, total or Point(AT_MS))


def counted(completed: int, failed: int = 0) -> Point:
    return Point(AT_MS, completed, failed)


def waited(half_ms: float | None, most_ms: float | None) -> Point:
    return Point(AT_MS, 1, wait_p50_ms=half_ms, wait_p95_ms=most_ms)


def test_failed_jobs_are_stacked_on_completed_ones() -> None:
    drawn = charts.throughput(statistics(counted(60, 40)), "hour")
    done, broken = drawn.bars
    assert (done.kind, done.y, done.height) == ("done", 40, 60)
    assert (broken.kind, broken.y, broken.height) == ("broken", 0, 40)
    assert drawn.scale == ("100", "50", "0")


def test_what_happened_once_is_seen_beside_what_happened_a_million_times() -> None:
    drawn = charts.throughput(statistics(counted(1_000_000), counted(0, 1)), "hour")
    assert [bar.height >= 1 for bar in drawn.bars] == [True, True]


def test_nothing_is_drawn_where_nothing_happened() -> None:
    drawn = charts.throughput(statistics(counted(0), counted(0)), "day")
    assert drawn.is_empty
    assert (drawn.bars, drawn.columns) == ((), ())
    assert drawn.about == "0 completed and 0 failed in the last day."


@given(st.lists(st.tuples(st.integers(0, 10**9), st.integers(0, 10**9)), min_size=1, max_size=170))
def test_every_bar_stays_in_its_box(counts: list[tuple[int, int]]) -> None:
    drawn = charts.throughput(statistics(*(counted(*pair) for pair in counts)), "week")
    for bar in drawn.bars:
        assert 0 <= bar.x <= bar.x + bar.width <= WIDTH + 0.1
        assert 0 <= bar.y <= bar.y + bar.height <= HEIGHT + 2


def test_a_line_is_broken_where_nothing_was_measured() -> None:
    points = (waited(10, 20), waited(20, 40), waited(None, None), waited(50, 100), waited(40, 80))
    middle, upper = charts.wait(statistics(*points), "hour").lines
    assert (middle.kind, upper.kind) == ("middle", "upper")
    assert len(middle.pieces) == len(upper.pieces) == 2
    assert middle.pieces[0] == "60,90 180,80"


def test_a_lone_value_is_drawn_as_a_dash() -> None:
    middle, _ = charts.wait(statistics(waited(None, None), waited(5, 10), waited(None, None)), "hour").lines
    [piece] = middle.pieces
    assert piece == "233.33,50 366.67,50"


def test_a_chart_says_in_words_what_it_shows() -> None:
    total = Point(AT_MS, 90, 10, 4, wait_p50_ms=40.4, wait_p95_ms=1_500, run_p50_ms=12_000, run_p95_ms=90_000)
    figures = statistics(total, total=total)
    assert charts.throughput(figures, "hour").about == "90 completed and 10 failed in the last hour."
    assert charts.throughput(figures, "hour").columns[0].words == (
        "08:00–08:01 UTC: 90 completed, 10 failed, 4 retried"
    )
    assert "half of the jobs waited at most 40 ms, 95 % at most 1.5 s" in charts.wait(figures, "day").about
    assert "half of the jobs ran at most 12 s, 95 % at most 1 min" in charts.run(figures, "week").about
    assert charts.run(figures, "week").columns[0].words.endswith("p50 12 s, p95 1 min")


@pytest.mark.parametrize(("most", "top"), [(0, 1), (1, 1), (3, 5), (10, 10), (11, 20), (51, 100), (999_999, 10**6)])
def test_a_scale_ends_at_a_round_number(most: int, top: int) -> None:
    assert charts.nice(most) == top


@pytest.mark.parametrize(
    ("most_ms", "top_ms"), [(0, 1), (0.3, 1), (180, 200), (7_000, 10_000), (61_000, 120_000), (10**9, 20 * 86_400_000)]
)
def test_a_scale_of_time_ends_at_a_round_duration(most_ms: float, top_ms: int) -> None:
    assert charts.nice_ms(most_ms) == top_ms


@pytest.mark.parametrize("span", ["hour", "day", "week"])
def test_the_words_of_an_axis_lead_from_then_to_now(span: Span) -> None:
    assert charts.throughput(statistics(counted(1)), span).times[-1] == "now"


def test_a_spark_is_as_high_as_its_busiest_step() -> None:
    bars = charts.spark(statistics(counted(3), counted(1)))
    assert bars[0].height == charts.SPARK_HEIGHT


def test_the_handler_whose_oldest_job_waits_longest_comes_first() -> None:
    first, second = charts.ages({"quick": AT_MS - 1_000, "stuck": AT_MS - 300_000}, AT_MS)
    assert (first.name, first.age_ms, first.width) == ("stuck", 300_000, WIDTH)
    assert (second.name, second.age_ms) == ("quick", 1_000)
    assert 0 < second.width < 10


def test_a_job_of_a_faster_clock_has_no_age() -> None:
    (age,) = charts.ages({"early": AT_MS + 5_000}, AT_MS)
    assert (age.age_ms, age.width) == (0, 0)


def test_nothing_that_waits_is_no_bar() -> None:
    assert charts.ages({}, AT_MS) == ()
