"""Drawing: a frame as lines of a terminal, as many as it has room for. What a job tells is text there, and no more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, NamedTuple

from rich.console import Group
from rich.text import Text

from jobqueue.cli.console import one_line
from jobqueue.cli.top.frames import Frame
from jobqueue.cli.top.view import View
from jobqueue.inspector import JobView, QueueView, WorkerView
from jobqueue.inspector.statistics import Point

BARS: Final = "▁▂▃▄▅▆▇█"
PAUSED: Final = " (paused)"
HELP: Final = "q quit   ↑↓ select   ⏎ active jobs   p pause/resume"
NARROW, WIDE = 70, 110
UNLIMITED: Final = 10_000
_FIXED: Final = 2 + 4 * 8 + 7 + 9


class Cell(NamedTuple):
    text: str
    width: int
    is_number: bool = False
    style: str = ""


@dataclass(frozen=True, slots=True)
class _Columns:
    """How wide the columns are that grow with the terminal; a line of bars of no width is left out."""

    name: int
    bars: int

    @classmethod
    def of(cls, width: int, names: Sequence[str], *, has_paused: bool) -> _Columns:
        rest = width - _FIXED
        longest = max(map(len, names), default=5) + (len(PAUSED) if has_paused else 0)
        if width < NARROW:
            return cls(max(rest, 8), 0)
        name = min(max(longest + 1, 8), max(rest - 2 * 8, 8), 40)
        return cls(name, min(max((rest - name - 2) // 2, 0), 60))


def draw(frame: Frame, view: View, width: int, height: int | None, *, away: bool = False) -> Group:
    """All of it in `height` lines; None for as many as there are."""
    room = UNLIMITED if height is None else max(height - 2, 0)
    body = list(_opened(frame, view, width) if view.opened else _overview(frame, view, width, room))
    lines = [_title(frame, width, away=away), *body[:room]]
    if height is not None:
        lines += [Text() for _ in range(height - 1 - len(lines))]
        lines.append(_footer(view, width))
    return Group(*(_cut(line, width) for line in lines))


def _title(frame: Frame, width: int, *, away: bool) -> Text:
    when = _clock(frame.at_ms)
    if away:
        return Text(f" Redis away; this was at {when} ".ljust(width), style="bold white on red")
    queues, workers = len(frame.queues), len(frame.workers)
    left = f" jobqueue top   {_some(queues, 'queue')}   {_some(workers, 'worker')}"
    return Text(left + when.rjust(max(width - len(left) - 1, 0)) + " ", style="reverse")


def _footer(view: View, width: int) -> Text:
    if view.asked is not None:
        return Text(f" {view.asked.verb.capitalize()} queue {one_line(view.asked.queue)}? y/n ", style="bold yellow")
    return Text(f" {one_line(view.message)}" if view.message else f" {HELP}", style="" if view.message else "dim")


def _overview(frame: Frame, view: View, width: int, room: int) -> Iterator[Text]:
    """The queues around the selected one get two fifths, what failed lately a third of the rest."""
    rows = min(len(frame.queues), max(room * 2 // 5 - 1, 2))
    rest = room - rows - 1
    failures = min(max(len(frame.failed), 1), max(rest // 3 - 1, 1))
    yield from _queues(frame, view, width, rows)
    yield from _workers(frame, width, max(rest - failures - 2, 1), is_short=room < UNLIMITED)
    yield _heading("FAILED LATELY")
    yield from [_failed(job, frame.at_ms, width) for job in frame.failed[:failures]] or [_nothing()]


# Queues


def _queues(frame: Frame, view: View, width: int, rows: int) -> Iterator[Text]:
    columns = _Columns.of(width, frame.names, has_paused=any(queue.paused for queue in frame.queues))
    heading = [Cell("QUEUE", columns.name + 2), *(Cell(word, 8, True) for word in ("WAIT", "DELAYED", "ACTIVE"))]
    heading += [Cell("FAILED", 8, True), Cell("PER MIN", 8, True)]
    heading += [*_with_bars("", columns.bars), Cell("RUN P95", 8, True), *_with_bars("", columns.bars)]
    yield _line(heading, "bold")
    first = first_shown(frame.names, view.selected, rows)
    for queue in frame.queues[first : first + rows]:
        yield _queue(frame, queue, columns, is_selected=queue.name == view.selected)


def first_shown(names: Sequence[str], selected: str | None, rows: int) -> int:
    """From which queue on they are shown, so that the selected one is among them."""
    place = names.index(selected) if selected in names else 0
    return max(0, min(place - rows // 2, len(names) - rows))


def _queue(frame: Frame, queue: QueueView, columns: _Columns, *, is_selected: bool) -> Text:
    mark, name = "▸ " if is_selected else "  ", one_line(queue.name)
    if queue.refused is not None:
        return _line([Cell(mark + name, columns.name + 2), Cell(f" {queue.refused}", UNLIMITED, style="red")])
    figures = frame.figures.get(queue.name)
    points = figures.points if figures is not None else ()
    counts, style = queue.counts, "yellow" if queue.paused else "bold" if is_selected else ""
    shown_name = name + PAUSED if queue.paused else name
    waiting = sum(counts.get(state, 0) for state in ("waiting", "paused", "prioritized"))
    cells = [Cell(mark + shown_name, columns.name + 2, style=style), Cell(_count(waiting), 8, True)]
    cells += [Cell(_count(counts.get("delayed", 0)), 8, True), Cell(_count(counts.get("active", 0)), 8, True)]
    cells.append(Cell(_count(counts.get("failed", 0)), 8, True, "red" if counts.get("failed") else ""))
    cells.append(Cell(_count(_ended(points[-2])) if len(points) > 1 else "-", 8, True))
    cells += _with_bars(bars([_ended(one) for one in points], columns.bars), columns.bars, "green")
    cells.append(Cell(span_of(figures.total.run_p95_ms) if figures is not None else "-", 8, True))
    cells += _with_bars(bars([one.run_p95_ms or 0 for one in points], columns.bars), columns.bars, "cyan")
    return _line(cells)


def _with_bars(text: str, width: int, style: str = "") -> list[Cell]:
    return [Cell(f" {text}", width + 1, style=style)] if width else []


def bars(values: Sequence[float], width: int) -> str:
    """The last `width` values as bars beside one another; the highest is full, and nothing is a blank."""
    shown = values[-width:] if width else ()
    highest = max(shown, default=0)
    if not highest:
        return ""
    return "".join(BARS[min(int(value / highest * len(BARS)), len(BARS) - 1)] if value else " " for value in shown)


def _ended(point: Point) -> int:
    return point.completed + point.failed


# Workers, jobs


def _workers(frame: Frame, width: int, rows: int, *, is_short: bool) -> Iterator[Text]:
    """Each with what it runs, as far as there is room."""
    yield _heading("WORKERS")
    lines = [line for worker in frame.workers for line in _worker(worker, frame.at_ms, width)]
    if not lines:
        yield _nothing("  nobody serves these queues")
        return
    yield from lines if len(lines) <= rows else [*lines[: rows - 1], _nothing(f"  … {len(lines) - rows + 1} more")]
    if is_short:
        yield from (Text() for _ in range(rows - len(lines)))


def _worker(worker: WorkerView, now_ms: int, width: int) -> Iterator[Text]:
    busy = "?" if worker.active_count is None else str(worker.active_count)
    slots = "" if worker.concurrency is None else f"/{worker.concurrency}"
    name = Cell(f"  {one_line(worker.name)}", max(width - 44, 16), style="bold")
    yield _line([name, Cell(f" {busy}{slots} active", 16), Cell(f" {one_line(', '.join(worker.queues))}", 28)])
    for job in worker.active:
        since = "" if job.started_at_ms is None else span_of(now_ms - job.started_at_ms)
        yield _line(
            [Cell(f"    {one_line(job.name)}", max(width - 44, 16)), Cell(f" {one_line(job.id)}", 34), _right(since)]
        )


def _failed(view: JobView, now_ms: int, width: int) -> Text:
    name = view.job.name if view.job is not None else view.raw.get("name", "")
    reason = (view.job.failed_reason if view.job is not None else view.problem) or ""
    at_ms = view.job.finished_at_ms if view.job is not None else None
    ago = "" if at_ms is None else span_of(now_ms - at_ms)
    cells = [_right(ago), Cell(f" {one_line(name)}", 18, style="red"), Cell(f" {one_line(view.id)}", 14)]
    return _line([*cells, Cell(f" {one_line(reason)}", max(width - 42, 10))])


def _opened(frame: Frame, view: View, width: int) -> Iterator[Text]:
    """The active jobs of the queue that is selected."""
    yield _heading(f"ACTIVE IN {one_line(view.selected or '')}   (Enter goes back)")
    yield _line(
        [Cell("  JOB", 24), Cell(" HANDLER", max(width - 66, 16)), Cell("TRY", 6, True), Cell("SINCE", 10, True)],
        "bold",
    )
    for job in frame.active:
        yield _active(job, frame.at_ms, width)
    if not frame.active:
        yield _nothing()


def _active(view: JobView, now_ms: int, width: int) -> Text:
    job = view.job
    if job is None:
        return _line([Cell(f"  {one_line(view.id)}", 24), Cell(f" {one_line(view.problem or '')}", width, style="red")])
    since = "" if job.processed_at_ms is None else span_of(now_ms - job.processed_at_ms)
    cells = [Cell(f"  {one_line(view.id)}", 24), Cell(f" {one_line(job.name)}", max(width - 66, 16))]
    cells += [Cell(str(job.attempts_made + 1), 6, True), Cell(since, 10, True)]
    return _line(
        [*cells, Cell(f" {one_line(job.processed_by or '')}", max(width - 40 - max(width - 66, 16), 1), style="dim")]
    )


# Lines


def _line(cells: Sequence[Cell], style: str = "") -> Text:
    line = Text(style=style, no_wrap=True)
    for cell in cells:
        text = Text(cell.text, style=cell.style)
        text.truncate(cell.width, overflow="ellipsis")
        space = " " * max(cell.width - text.cell_len, 0) if cell.width < UNLIMITED else ""
        line.append_text(Text(space) + text if cell.is_number else text + Text(space))
    return line


def _cut(line: Text, width: int) -> Text:
    line.no_wrap = True
    line.truncate(width, overflow="ellipsis")
    return line


def _right(text: str) -> Cell:
    return Cell(text, 10, True)


def _heading(text: str) -> Text:
    return Text(text, style="bold")


def _nothing(text: str = "  none") -> Text:
    return Text(text, style="dim")


def _some(count: int, what: str) -> str:
    return f"{count} {what}" if count == 1 else f"{count} {what}s"


def _count(number: int) -> str:
    """Seven figures at most."""
    if number < 100_000:
        return f"{number:,}"
    return f"{number / 1_000:,.0f}k" if number < 10_000_000 else f"{number / 1_000_000:,.0f}M"


def _clock(at_ms: int) -> str:
    return f"{datetime.fromtimestamp(at_ms / 1000, UTC):%H:%M:%S} UTC"


def span_of(span_ms: float | None) -> str:
    """`12 ms`, `3.4 s`, `5 min`, `2 h`, `3 d`."""
    if span_ms is None:
        return "-"
    span_ms = max(span_ms, 0)
    if span_ms < 1_000:
        return f"{span_ms:.0f} ms"
    for unit, unit_ms, next_ms in (("s", 1_000, 60_000), ("min", 60_000, 3_600_000), ("h", 3_600_000, 86_400_000)):
        if span_ms < next_ms:
            return f"{span_ms / unit_ms:.1f} {unit}" if span_ms < 10 * unit_ms else f"{span_ms / unit_ms:.0f} {unit}"
    return f"{span_ms / 86_400_000:,.0f} d"
