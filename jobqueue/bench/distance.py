"""Distance: ours and Node's speed against a Redis that is some milliseconds away."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Final

from jobqueue.bench import child
from jobqueue.bench.lineup import Places, peers_named
from jobqueue.bench.results import Failure, Results, Run, Spread
from jobqueue.bench.rounds import Step, run_told, task_of
from jobqueue.bench.server import HOST, Server
from jobqueue.bench.workloads import workloads_named

ROUND_TRIPS_MS: Final = (0.0, 1.0, 5.0)
BOUND: Final = 0.9
"""The part of Node's speed that ours must keep at any distance."""


@dataclass(slots=True)
class Distance:
    """Measures drain-100 of both peers in turn, through a proxy of each round trip time."""

    places: Places
    server: Server
    rounds: int
    jobs: int | None = None
    pinned: bool = False
    round_trips_ms: tuple[float, ...] = ROUND_TRIPS_MS
    outcomes: list[Run | Failure] = field(default_factory=list[Run | Failure])

    def run(self, watcher: Callable[[Step, Run | Failure], None]) -> None:
        """What is measured until Ctrl-C is kept."""
        try:
            for step, round_trip_ms in self._steps():
                outcome = self._measure(step, round_trip_ms)
                self.outcomes.append(outcome)
                watcher(step, outcome)
        except KeyboardInterrupt:
            return

    @property
    def results(self) -> Results:
        runs = tuple(outcome for outcome in self.outcomes if isinstance(outcome, Run))
        return Results(runs, tuple(outcome for outcome in self.outcomes if isinstance(outcome, Failure)))

    def as_table(self) -> str:
        """Medians with the lowest and the highest; the ratio is within the rounds."""
        return "\n".join([*self._rows(), *(f"Failed: {one.peer}: {one.reason}" for one in self.results.failures)])

    def _steps(self) -> Iterator[tuple[Step, float]]:
        workload = workloads_named(("drain-100",))[0]
        for round_trip_ms in self.round_trips_ms:
            for number in range(1, self.rounds + 1):
                for peer in peers_named(("jobqueue", "node")):
                    yield Step(replace(workload, name=_name(round_trip_ms)), peer, number), round_trip_ms

    def _measure(self, step: Step, round_trip_ms: float) -> Run | Failure:
        self.server.clear()
        try:
            with _far(self.server, self.places, round_trip_ms) as url:
                jobs = self.jobs or step.workload.jobs
                task = task_of(step.workload, url, jobs, load_url=self.server.url)
                command = self.places.command(step.peer, task)
                return run_told(step, child.told_by(command, self.places.environment(), pinned=self.pinned))
        except (child.ProgramFailed, OSError) as error:
            return Failure(step.workload.name, step.peer.name, step.round, str(error))

    def _rows(self) -> Iterator[str]:
        yield "| round trip | ours, jobs/s | Node, jobs/s | ratio |"
        yield "| --- | ---: | ---: | ---: |"
        for round_trip_ms in self.round_trips_ms:
            name, results = _name(round_trip_ms), self.results
            ours, node = (results.spread(name, peer, "speed") for peer in ("jobqueue", "node"))
            ratio = results.ratio(name, "jobqueue", "node", "speed")
            cells = [_text(ours, 0), _text(node, 0), _text(ratio, 2)]
            yield f"| {round_trip_ms:g} ms | {' | '.join(cells)} |"


@contextmanager
def _far(server: Server, places: Places, round_trip_ms: float) -> Generator[str]:
    """The URL of a proxy that is gone with the block. Raises: ProgramFailed."""
    command = [sys.executable, "-m", "jobqueue.bench.proxy", str(server.port), str(round_trip_ms)]
    with child.started(command, places.environment(), pinned=False) as proxy:
        line = proxy.stdout.readline() if proxy.stdout is not None else b""
        if not line.strip():
            raise child.ProgramFailed("the proxy did not start")
        yield f"redis://{HOST}:{int(line)}/0"


def _name(round_trip_ms: float) -> str:
    return f"drain-100 at {round_trip_ms:g} ms"


def _text(spread: Spread | None, digits: int) -> str:
    if spread is None:
        return "–"
    return f"{spread.median:,.{digits}f} ({spread.low:,.{digits}f}–{spread.high:,.{digits}f})"
