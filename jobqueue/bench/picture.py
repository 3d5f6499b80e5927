"""Picture: every workload as bars, one for each peer, drawn as SVG by hand. Readable on light and dark pages."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from html import escape
from typing import Final

from jobqueue.bench.lineup import OURS, PEERS
from jobqueue.bench.machine import Conditions
from jobqueue.bench.report import BASE, figure_text, measured_workloads
from jobqueue.bench.results import Results
from jobqueue.bench.workloads import Workload

WIDTH: Final = 860
_LEFT, _RIGHT, _BAR, _GAP = 170, 150, 14, 6
_HEAD, _SECTION, _FOOT = 46, 34, 26

STYLE: Final = """
  text { font: 12px system-ui, sans-serif; fill: #1f2328; }
  .title { font-size: 16px; font-weight: 600; }
  .workload { font-weight: 600; }
  .quiet { fill: #59636e; font-size: 11px; }
  .bar { fill: #b6c2cf; }
  .ours { fill: #1a7f5a; }
  .target { stroke: #c0392b; stroke-width: 2; stroke-dasharray: 3 2; fill: none; }
  .background { fill: #ffffff; }
  .curve { fill: none; stroke: #1a7f5a; stroke-width: 2; }
  .axis { stroke: #d1d9e0; stroke-width: 1; }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3; }
    .quiet { fill: #9198a1; }
    .bar { fill: #4a5563; }
    .ours { fill: #3fb98a; }
    .curve { stroke: #3fb98a; }
    .target { stroke: #ff7b72; }
    .background { fill: #0d1117; }
    .axis { stroke: #3d444d; }
  }
"""

_TITLES = {peer.name: peer.title for peer in PEERS}


def bars(results: Results, conditions: Conditions) -> str:
    """The picture of all measured workloads. A dashed line says what ours must reach."""
    body: list[str] = []
    y = _HEAD
    for workload in measured_workloads(results):
        peers = results.peers_of(workload.name)
        body += _section(results, workload, peers, y)
        y += _SECTION + len(peers) * (_BAR + _GAP)
    where = f"{conditions.date}, {conditions.processor}, {conditions.cores} cores, Redis {conditions.redis}"
    rounds = f"medians of {conditions.rounds} rounds; the dashed line is what ours must reach"
    return document(
        y + _FOOT,
        "How fast jobs are run, stored and picked up",
        [*body, text(12, y + 14, where + "; " + rounds, "quiet")],
    )


def document(height: int, title: str, body: Sequence[str]) -> str:
    """An SVG of the full width, with its title at the top."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" '
            f'viewBox="0 0 {WIDTH} {height}" role="img" aria-label="{escape(title)}">',
            f"<style>{STYLE}</style>",
            f'<rect class="background" width="{WIDTH}" height="{height}" rx="6"/>',
            text(12, 26, title, "title"),
            *body,
            "</svg>\n",
        ]
    )


def _section(results: Results, workload: Workload, peers: Sequence[str], y: int) -> Iterator[str]:
    figures = {peer: _median(results, workload, peer) for peer in peers}
    target = target_of(results, workload)
    longest = max([*figures.values(), target or 0.0]) or 1.0
    scale = (WIDTH - _LEFT - _RIGHT) / longest
    better = "more is better" if workload.more_is_better else "less is better"
    yield text(12, y + 18, workload.title, "workload")
    yield text(WIDTH - 12, y + 18, f"{workload.unit}, {better}", "quiet", anchor="end")
    top = y + _SECTION - 8
    for row, (peer, figure) in enumerate(_ordered(figures, workload)):
        width = max(figure * scale, 1.0)
        label_x = _LEFT + 6 + (width if row else max(width, (target or 0.0) * scale))  # beside the target's line
        yield from _bar(results, workload, peer, width, label_x, top + row * (_BAR + _GAP))
    if target is not None:
        x, bottom = _LEFT + target * scale, top + _BAR + 3
        title = f"<title>to reach: {figure_text(target)}</title>"
        yield f'<path class="target" d="M{x:.1f} {top - 3}V{bottom}">{title}</path>'


def _bar(results: Results, workload: Workload, peer: str, width: float, label_x: float, y: int) -> Iterator[str]:
    kind = "bar ours" if peer == OURS else "bar"
    figure = _median(results, workload, peer)
    ratio = results.ratio(workload.name, peer, BASE, workload.measure)
    label = figure_text(figure) + (f"  ({ratio.median:.2f} × Node)" if ratio is not None and peer != BASE else "")
    yield text(_LEFT - 8, y + _BAR - 3, _TITLES.get(peer, peer), anchor="end")
    yield f'<rect class="{kind}" x="{_LEFT}" y="{y}" width="{width:.1f}" height="{_BAR}" rx="2"/>'
    yield text(label_x, y + _BAR - 3, label)


def target_of(results: Results, workload: Workload) -> float | None:
    """What ours must reach, in the workload's unit; for a ratio it depends on what the other peer reached."""
    for target in workload.targets:
        if target.measure != workload.measure:
            continue
        if target.peer is None:
            return target.bound
        spread = results.spread(workload.name, target.peer, target.measure)
        if spread is not None:
            return spread.median * target.bound
    return None


def _ordered(figures: dict[str, float], workload: Workload) -> list[tuple[str, float]]:
    """Ours first, then from the best to the worst."""
    sign = -1 if workload.more_is_better else 1
    return sorted(figures.items(), key=lambda item: (item[0] != OURS, sign * item[1]))


def _median(results: Results, workload: Workload, peer: str) -> float:
    spread = results.spread(workload.name, peer, workload.measure)
    return 0.0 if spread is None else spread.median


def text(x: float, y: float, words: str, kind: str = "", anchor: str = "start") -> str:
    """Words at a place; `kind` is a class of the style."""
    return f'<text class="{kind}" x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(words)}</text>'
