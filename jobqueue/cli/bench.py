"""`jobqueue bench`: measure this and its peers."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from jobqueue.bench import board as boarding
from jobqueue.bench import growth as growing
from jobqueue.bench import install as installing
from jobqueue.bench import pages, profiling
from jobqueue.bench.child import ProgramFailed
from jobqueue.bench.distance import Distance
from jobqueue.bench.filling import Load
from jobqueue.bench.growth import POINTS, Grown
from jobqueue.bench.lineup import Places, UnknownPeer, peers_named
from jobqueue.bench.machine import Conditions
from jobqueue.bench.report import as_json, as_table, progress_line
from jobqueue.bench.results import Failure, Results
from jobqueue.bench.rounds import Outcome, Plan, Rounds, Step
from jobqueue.bench.server import Server, running_server
from jobqueue.bench.workloads import UnknownWorkload, workloads_named
from jobqueue.cli.console import FAILED, INTERRUPTED, note, report, say

EXAMPLES = """Examples:

jobqueue bench --install

jobqueue bench drain-100 --peer jobqueue --peer node --rounds 3 --pin

jobqueue bench --out docs/benchmarks

jobqueue bench --profile
"""


def add_to(app: typer.Typer) -> None:
    app.command("bench", epilog=EXAMPLES)(bench)


@dataclass(frozen=True, slots=True)
class Request:
    """What all parts of the bench need to know."""

    plan: Plan
    places: Places
    out: Path | None
    as_json: bool

    def conditions(self, results: Results) -> Conditions:
        plan = self.plan
        return Conditions.now(results, pinned=plan.pinned, rounds=plan.rounds, arguments=sys.argv[2:])


def bench(
    workload: Annotated[list[str] | None, typer.Argument(help="Only these workloads; all otherwise.")] = None,
    peer: Annotated[list[str] | None, typer.Option(help="Only this peer; may be given more than once.")] = None,
    rounds: Annotated[int, typer.Option(min=1, help="How often each peer runs each workload.")] = 5,
    jobs: Annotated[int | None, typer.Option(min=1, help="At most this many jobs a run, to try things out.")] = None,
    pin: Annotated[bool, typer.Option("--pin/--no-pin", help="Redis on one core, the programs on another.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the page, the picture and the figures to this folder.")
    ] = None,
    node_modules: Annotated[Path | None, typer.Option(help="The folder that holds Node's bullmq.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
    install: Annotated[bool, typer.Option("--install", help="First install the peers that are missing.")] = False,
    profile: Annotated[bool, typer.Option("--profile", help="Say what each step of our hot path costs.")] = False,
    growth: Annotated[bool, typer.Option("--growth", help="Say what a job costs as the queue grows.")] = False,
    distance: Annotated[bool, typer.Option("--distance", help="Measure with Redis some milliseconds away.")] = False,
    board: Annotated[bool, typer.Option("--board", help="Time the board's pages at a million jobs.")] = False,
) -> None:
    """Measure how fast jobs are run, stored and picked up, beside the peers that are installed.

    Starts a Redis of its own. Each peer runs in a process of its own, in turn; Ctrl-C keeps what was measured.
    """
    try:
        workloads, peers = workloads_named(tuple(workload or ())), peers_named(tuple(peer or ()))
    except (UnknownWorkload, UnknownPeer) as error:
        raise typer.BadParameter(str(error)) from None
    modes = {"--profile": profile, "--growth": growth, "--distance": distance, "--board": board}
    _check_mode([name for name, is_asked in modes.items() if is_asked], workload, peer, as_json=as_json)
    plan = Plan(workloads, peers, rounds, pin, bool(peer), jobs)
    request = Request(plan, Places(node_modules=node_modules), out, as_json)
    if install:
        _install(request)
    with running_server(pinned=pin) as server:
        if profile:
            _profile(request, server)
        elif growth:
            _growth(request, server)
        elif distance:
            _distance(request, server)
        elif board:
            _board(request, server)
        elif workload or peer or not install:
            _rounds(request, server)


def _check_mode(modes: Sequence[str], workload: list[str] | None, peer: list[str] | None, *, as_json: bool) -> None:
    """Raises: BadParameter where something was asked for that the mode would pass over."""
    if len(modes) > 1:
        raise typer.BadParameter(f"choose one of {' and '.join(modes)}")
    if modes and (workload or peer or as_json):
        raise typer.BadParameter(f"{modes[0]} takes neither workloads nor --peer nor --json")


def _install(request: Request) -> None:
    failed = installing.install(request.plan.peers, request.places, note)
    if failed:
        note(f"not installed: {', '.join(failed)}")


def _rounds(request: Request, server: Server) -> None:
    with Watch() as watch:
        rounds = Rounds(request.plan, request.places, server, watch.see)
        watch.expect(len(rounds.steps))
        rounds.run()
    results, conditions = rounds.results, request.conditions(rounds.results)
    say(as_json(results, conditions) if request.as_json else as_table(results))
    if request.out is not None:
        pages.write_results(request.out, results, conditions)
    if rounds.interrupted:
        raise typer.Exit(INTERRUPTED)


def _profile(request: Request, server: Server) -> None:
    try:
        found = profiling.profile(request.places, server, request.plan.jobs, pinned=request.plan.pinned)
    except ProgramFailed as error:
        report(error)
        raise typer.Exit(FAILED) from None
    say(profiling.as_text(found))


def _growth(request: Request, server: Server) -> None:
    with Watch() as watch:
        watch.expect(len(POINTS))
        try:
            found = growing.measure(POINTS, request.places, server, watch.see_growth, pinned=request.plan.pinned)
        except ProgramFailed as error:
            report(error)
            raise typer.Exit(FAILED) from None
    say(growing.as_table(found))
    if request.out is not None:
        pages.write_growth(request.out, found, request.conditions(Results()))
    if len(found) < len(POINTS):
        raise typer.Exit(INTERRUPTED)


def _distance(request: Request, server: Server) -> None:
    plan = request.plan
    measuring = Distance(request.places, server, plan.rounds, plan.jobs, plan.pinned)
    runs = len(measuring.round_trips_ms) * plan.rounds * 2
    with Watch() as watch:
        watch.expect(runs)
        measuring.run(watch.see)
    say(measuring.as_table())
    if request.out is not None:
        pages.write_distance(request.out, measuring, request.conditions(measuring.results))
    if len(measuring.outcomes) < runs:
        raise typer.Exit(INTERRUPTED)


def _board(request: Request, server: Server) -> None:
    plan, load = request.plan, boarding.smaller(Load(), request.plan.jobs)
    with Watch() as watch:
        watch.expect(plan.rounds)
        try:
            timed = boarding.measure(server, request.places, load, plan.rounds, watch.see_filled, watch.see_round)
        except ProgramFailed as error:
            report(error)
            raise typer.Exit(FAILED) from None
    say(boarding.as_table(timed))
    if request.out is not None:
        pages.write_board(request.out, timed, load.jobs, request.conditions(Results()))


class Watch:
    """The progress on standard error: a bar on a terminal, and a line for each run that has ended."""

    def __init__(self) -> None:
        self._progress = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            console=Console(stderr=True),
            transient=True,
        )
        self._task = self._progress.add_task("", total=None)

    def __enter__(self) -> Watch:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def expect(self, steps: int) -> None:
        """How many runs there will be."""
        self._progress.update(self._task, total=steps)

    def see(self, step: Step, outcome: Outcome | None) -> None:
        """A run begins, or has ended."""
        what = f"{step.workload.name}, round {step.round}, {step.peer.title}"
        if outcome is None:
            self._progress.update(self._task, description=what)
            return
        ended = "failed" if isinstance(outcome, Failure) else progress_line(outcome, step.workload)
        self._tell(f"{what}: {ended}")

    def see_growth(self, grown: Grown) -> None:
        """A size has been measured."""
        self._tell(f"{grown.size:,} {grown.axis}: {grown.wall_us.median:.1f} µs a job")

    def see_filled(self, jobs: int) -> None:
        self._progress.update(self._task, description=f"{jobs:,} jobs are there")

    def see_round(self, number: int) -> None:
        self._tell(f"round {number}")

    def _tell(self, line: str) -> None:
        self._progress.console.print(line, highlight=False)
        self._progress.advance(self._task)
