"""Report: what was measured, as a table to read and as a document for programs."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict

from pydantic_core import to_json

from jobqueue.bench.lineup import OURS, PEERS, Peer
from jobqueue.bench.machine import Conditions
from jobqueue.bench.results import Results, Run, Spread
from jobqueue.bench.workloads import UNITS, WORKLOADS, Measure, Target, Workload

BASE = "node"
"""The peer that ratios refer to."""

_TITLES = {peer.name: peer.title for peer in PEERS}


def as_json(results: Results, conditions: Conditions) -> str:
    """All runs with their conditions. Units: `_s` seconds, `_ms` milliseconds, `rss_mb` MiB."""
    document = {
        "conditions": asdict(conditions),
        "runs": [asdict(run) for run in results.runs],
        "failures": [asdict(failure) for failure in results.failures],
        "missing": dict(results.missing),
    }
    return to_json(document, indent=2).decode() + "\n"


def measured_workloads(results: Results) -> tuple[Workload, ...]:
    return tuple(workload for workload in WORKLOADS if results.peers_of(workload.name))


def as_table(results: Results) -> str:
    """One table for each workload, and who is missing or failed."""
    parts = ["\n".join(_workload(results, workload)) for workload in measured_workloads(results)]
    parts += [f"Not installed: {_title(name)}. To install: `{command}`" for name, command in results.missing]
    for failure in results.failures:
        where = f"{_title(failure.peer)} in {failure.workload}, round {failure.round}"
        parts.append(f"Failed: {where}: {_gist(failure.reason)}")
    return "\n\n".join(parts)


def as_page(results: Results, conditions: Conditions, picture: str) -> str:
    """The page that `jobqueue bench` writes."""
    reached = ["| workload | to reach | ours | |", "|---|---|---|---|", *_targets(results)]
    notes = [_note(results, conditions, peer) for peer in _peers(results)]
    return (
        "\n\n".join(
            [
                "# How fast it is",
                f"Written by `{conditions.command}`. Figures are medians of {conditions.rounds} rounds with the lowest "
                "and the highest; peers took turns within each round, and a ratio is the median of the ratios within "
                "the rounds, since absolute figures drift.",
                f"![Every workload as bars, one for each peer]({picture})",
                "## What is to be reached",
                "\n".join(reached),
                "## Every workload",
                as_table(results),
                "## Conditions",
                "\n".join(conditions_listed(conditions)),
                "## The peers",
                "Each runs as a process of its own and in the configuration that loses no job, where it has one.",
                "\n".join(notes),
            ]
        )
        + "\n"
    )


def _gist(reason: str) -> str:
    """The last line that names an error, else the last: a stack is in the document."""
    lines = [line.strip() for line in reason.splitlines()] or ["no reason given"]
    return next((line for line in reversed(lines) if re.match(r"[\w.]*(Error|Exception)\b", line)), lines[-1])


def _workload(results: Results, workload: Workload) -> Iterator[str]:
    unit, drains = workload.unit, workload.kind in ("drain", "enqueue")
    yield f"### {workload.name}: {workload.title}"
    yield ""
    head = [f"{'p50' if workload.kind == 'pickup' else 'median'}, {unit}", "ratio to Node"]
    if workload.kind == "pickup":
        head.insert(1, "p99, ms")
    if drains:
        head += ["Python or Node, µs of CPU a job", "Redis, µs of CPU a job", "script calls a job", "commands a job"]
    head.append("CPU when idle" if workload.kind == "idle" else "highest RSS, MB")
    yield _row("peer", *head)
    yield _row("---", *["---:" for _ in head])
    for peer in sorted(results.peers_of(workload.name), key=lambda name: _rank(results, workload, name)):
        yield _row(_title(peer), *_cells(results, workload, peer))


def _cells(results: Results, workload: Workload, peer: str) -> Iterator[str]:
    runs = results.of(workload.name, peer)
    yield _spread(results.spread(workload.name, peer, workload.measure))
    if workload.kind == "pickup":
        yield _spread(results.spread(workload.name, peer, "p99_ms"))
    yield _spread(results.ratio(workload.name, peer, BASE, workload.measure), digits=2)
    if workload.kind in ("drain", "enqueue"):
        yield _median([run.cpu_s / run.jobs * 1e6 for run in runs])
        yield _median([run.redis_cpu_s / run.jobs * 1e6 for run in runs])
        yield _median([run.script_calls / run.jobs for run in runs], digits=2)
        yield _median([run.commands / run.jobs for run in runs], digits=1)
    if workload.kind == "idle":
        yield _median([run.cpu_s / run.seconds * 100 for run in runs], digits=1) + " %"
    else:
        yield _median([run.rss_mb for run in runs])


def _targets(results: Results) -> Iterator[str]:
    for workload in measured_workloads(results):
        for target in workload.targets:
            found = results.reached(workload, target, OURS)
            if found is not None:
                figure, reached = found
                yield _row(
                    workload.title, _wanted(target), _figure(figure, target), "yes" if reached else "**not yet**"
                )


def _wanted(target: Target) -> str:
    if target.peer is not None:
        return f"≥ {target.bound:g} × {_title(target.peer)}"
    return f"{_name_of(target.measure)} ≤ {target.bound:g} {UNITS[target.measure]}"


def _figure(figure: float, target: Target) -> str:
    return f"{figure:.2f} ×" if target.peer is not None else f"{figure_text(figure)} {UNITS[target.measure]}"


def _name_of(measure: Measure) -> str:
    return {"speed": "speed", "p50_ms": "p50", "p99_ms": "p99", "rss_mb": "RSS"}[measure]


def conditions_listed(conditions: Conditions) -> Iterator[str]:
    """As a list of a page."""
    pinned = "Redis on one core, the program on another" if conditions.pinned else "not pinned to cores"
    yield f"- {conditions.date}, {conditions.rounds} rounds, {pinned}"
    yield f"- {conditions.processor}, {conditions.cores} cores, {conditions.memory_gib:g} GiB, {conditions.system}"
    redis = f'Redis {conditions.redis} (`--save "" --appendonly no`)'
    yield f"- {redis}, Python {conditions.python}, Node {conditions.node}"


def _note(results: Results, conditions: Conditions, peer: Peer) -> str:
    """How a peer was run, and what its figures are of."""
    ends = dict.fromkeys(run.until for run in results.runs if run.peer == peer.name and "job is" in run.until)
    until = "measured until " + ", ".join(ends or ["the last handler has returned"])
    share = f"; given {peer.share:.0%} of the jobs of a drain or enqueue" if peer.share < 1 else ""
    return f"- {peer.title}: {peer.notes}; a drain is {until}{share}{_versions(conditions, peer.name)}."


def _versions(conditions: Conditions, peer: str) -> str:
    known = conditions.versions.get(peer, {})
    return "".join(f", {name} {number}" for name, number in known.items() if name not in ("node", "jobqueue"))


def _peers(results: Results) -> tuple[Peer, ...]:
    seen = {run.peer for run in results.runs}
    return tuple(peer for peer in PEERS if peer.name in seen)


def _rank(results: Results, workload: Workload, peer: str) -> float:
    """Ours first, then from the best to the worst."""
    spread = results.spread(workload.name, peer, workload.measure)
    if peer == OURS or spread is None:
        return float("-inf")
    return -spread.median if workload.more_is_better else spread.median


def _title(peer: str) -> str:
    return _TITLES.get(peer, peer)


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _median(figures: list[float], *, digits: int = 0) -> str:
    spread = Spread.of(figures)
    return "–" if spread is None else f"{spread.median:,.{digits}f}"


def _spread(spread: Spread | None, *, digits: int | None = None) -> str:
    if spread is None:
        return "–"
    figures = [figure_text(figure, digits) for figure in (spread.median, spread.low, spread.high)]
    return f"{figures[0]} ({figures[1]}–{figures[2]})"


def figure_text(figure: float, digits: int | None = None) -> str:
    """With as many digits as mean something, where nobody says how many."""
    return f"{figure:,.{(2 if figure < 20 else 0) if digits is None else digits}f}"


def progress_line(run: Run, workload: Workload) -> str:
    """One run, as the terminal shows it."""
    return f"{figure_text(run.figure(workload.measure))} {workload.unit}"
