"""Pages: tables, pictures and the document, from made-up results."""

from __future__ import annotations

import json
from pathlib import Path
from xml.parsers import expat

import pytest

from jobqueue.bench import pages, picture, plot, report
from jobqueue.bench.growth import Grown, as_table
from jobqueue.bench.results import Results, Spread
from tests.bench.samples import CONDITIONS, RESULTS


def words_of(svg: str) -> str:
    """All text of a picture. Raises: ExpatError where it is not well-formed."""
    words: list[str] = []
    parser = expat.ParserCreate()
    parser.buffer_text = True
    parser.CharacterDataHandler = words.append
    parser.Parse(svg, True)
    return " ".join(words)


GROWN = tuple(
    Grown("waiting jobs", size, Spread(us, us - 1, us + 1), Spread(8, 7, 9), Spread(26, 25, 27), 1.0)
    for size, us in ((20_000, 30.0), (1_000_000, 33.0))
)


def test_a_table_holds_the_figures_the_ratio_and_what_a_job_costs() -> None:
    # when
    table = report.as_table(RESULTS)

    # then
    assert "| jobqueue | 20,000 (12,000–30,000) | 1.20 (1.00–1.50) | 20 | 30 | 1.10 | 27.0 | 50 |" in table.splitlines()
    assert "| jobqueue | 0.60 (0.60–0.60) | 3.00 (3.00–3.00) | – | 50 |" in table.splitlines()
    assert "| jobqueue | 48 (48–48) | – | 0.5 % |" in table.splitlines()


def test_a_table_says_who_is_not_installed_and_how_to_install_it() -> None:
    assert "Not installed: arq. To install: `python3 -m venv .jobqueue/bench/arq`" in report.as_table(RESULTS)


def test_a_table_says_who_failed_and_why() -> None:
    expected = "Failed: saq in drain-100, round 1: RuntimeError: a <peer> that broke"
    assert expected in report.as_table(RESULTS)


def test_a_page_holds_the_conditions_and_what_is_reached() -> None:
    # when
    page = report.as_page(RESULTS, CONDITIONS, "bench.svg")

    # then
    assert "(bench.svg)" in page
    for words in ("jobqueue bench --pin", "2026-01-02", "Fast & Quiet", "Redis 7.0.15", "Node 20.20.2", "thing 1.2.3"):
        assert words in page
    assert "| drain no-ops, concurrency 100 | ≥ 1.3 × BullMQ (Node) | 1.20 × | **not yet** |" in page
    assert "| memory of an idle worker | RSS ≤ 60 MB | 48 MB | yes |" in page


def test_the_document_holds_every_run_with_its_latencies() -> None:
    # when
    document = json.loads(report.as_json(RESULTS, CONDITIONS))

    # then
    assert len(document["runs"]) == len(RESULTS.runs)
    assert document["runs"][6]["latencies_ms"] == [0.5, 0.6, 0.7, 3.0]
    assert document["failures"][0]["reason"].startswith("Traceback")
    assert document["conditions"]["pinned"] is True


def test_the_picture_names_every_workload_and_peer_with_its_figure() -> None:
    # when
    words = words_of(picture.bars(RESULTS, CONDITIONS))

    # then
    for label in (
        "drain no-ops, concurrency 100",
        "pickup by an idle worker",
        "memory of an idle worker",
        "BullMQ (Node)",
        "20,000  (1.20 × Node)",
        "Fast & Quiet",
    ):
        assert label in words


def test_the_picture_marks_what_is_to_be_reached() -> None:
    # given a median of 20,000 jobs/s for Node, and the bound 1.3
    assert "to reach: 26,000" in words_of(picture.bars(RESULTS, CONDITIONS))


def test_the_picture_can_be_read_in_the_dark() -> None:
    assert "prefers-color-scheme: dark" in picture.bars(RESULTS, CONDITIONS)


def test_a_picture_of_nothing_is_still_a_picture() -> None:
    assert "How fast" in words_of(picture.bars(Results(), CONDITIONS))


def test_growth_is_shown_beside_the_smallest_size() -> None:
    assert "| waiting jobs | 1,000,000 | 33.0 (32.0–34.0) | 8.0 (7.0–9.0) | 26.0 (25.0–27.0) | 1.10 |" in as_table(
        GROWN
    )


def test_the_plot_of_growth_names_what_grows_and_its_sizes() -> None:
    words = words_of(plot.lines(GROWN))
    assert all(label in words for label in ("waiting jobs", "20,000", "1,000,000", "30.0", "33.0"))


@pytest.mark.parametrize("name", ["README.md", "bench.svg", "bench.json", "growth.md", "growth.svg"])
def test_a_folder_receives_the_pages_and_pictures(tmp_path: Path, name: str) -> None:
    # when
    pages.write_growth(tmp_path, GROWN, CONDITIONS)
    pages.write_results(tmp_path, RESULTS, CONDITIONS)

    # then
    assert (tmp_path / name).read_text(encoding="utf-8").strip()
    assert "(growth.md)" in (tmp_path / "README.md").read_text(encoding="utf-8")
