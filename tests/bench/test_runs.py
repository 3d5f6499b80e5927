"""Small real runs: Redis, our program and Node's."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from jobqueue.bench import growth, profiling
from jobqueue.bench.distance import Distance
from jobqueue.bench.growth import Grown, Point
from jobqueue.bench.lineup import Peer, Places, UnknownPeer, peers_named
from jobqueue.bench.results import Run
from jobqueue.bench.rounds import Outcome, Plan, Rounds, Step
from jobqueue.bench.server import Server, running_server
from jobqueue.bench.workloads import UnknownWorkload, Workload, workloads_named

NODE_MODULES = Path(__file__).parents[1] / "interop" / "node_modules"
JOBS = 50


@pytest.fixture
def server() -> Iterator[Server]:
    """The bench's own Redis."""
    with running_server(pinned=False) as running:
        yield running


@pytest.fixture
def places(tmp_path: Path) -> Places:
    """Nothing is installed but what is beside us, and Node."""
    return Places(tmp_path / "bench", NODE_MODULES)


def ignore(step: Step, outcome: Outcome | None) -> None:
    """Watches nothing."""


def plan_of(workload: str, *peers: str, rounds: int = 1) -> Plan:
    return Plan(workloads_named((workload,)), peers_named(peers), rounds, named=True, jobs=JOBS, idle_watch_s=0.5)


@pytest.mark.parametrize("workload", ["drain-100", "sleep-warm", "enqueue-one", "enqueue-100", "enqueue-bulk"])
def test_ours_and_node_are_measured_in_every_figure(server: Server, places: Places, workload: str) -> None:
    # when
    rounds = Rounds(plan_of(workload, "jobqueue", "node"), places, server, ignore)
    rounds.run()

    # then
    assert rounds.results.failures == ()
    assert [run.peer for run in rounds.results.runs] == ["jobqueue", "node"]
    for run in rounds.results.runs:
        assert run.jobs == JOBS
        assert min(run.seconds, run.cpu_s, run.rss_mb, run.script_calls, run.commands, run.figure("speed")) > 0
        assert run.versions
        assert run.until


def test_the_pickup_of_every_job_is_measured(server: Server, places: Places) -> None:
    # given
    (pickup,) = workloads_named(("pickup",))
    plan = replace(plan_of("pickup", "jobqueue", "node", "bullmq"), workloads=(replace(pickup, gap_ms=1),))

    # when
    rounds = Rounds(plan, places, server, ignore)
    rounds.run()

    # then
    assert rounds.results.failures == ()
    assert [len(run.latencies_ms) for run in rounds.results.runs] == [JOBS] * 3
    assert all(min(run.latencies_ms) > 0 for run in rounds.results.runs)


def test_an_idle_worker_is_looked_at_from_outside(server: Server, places: Places) -> None:
    # when
    rounds = Rounds(plan_of("idle", "jobqueue", "bullmq"), places, server, ignore)
    rounds.run()

    # then
    assert rounds.results.failures == ()
    assert all(run.rss_mb > 0 for run in rounds.results.runs)


def test_peers_take_turns(places: Places) -> None:
    # when
    steps = plan_of("drain-100", "jobqueue", "node", rounds=2).steps(places)

    # then
    assert [(step.round, step.peer.name) for step in steps] == [
        (1, "jobqueue"),
        (1, "node"),
        (2, "jobqueue"),
        (2, "node"),
    ]


def test_redis_is_empty_before_each_run(server: Server, places: Places) -> None:
    # given
    server.ask("SET", "left", "behind")

    # when
    Rounds(plan_of("enqueue-bulk", "jobqueue"), places, server, ignore).run()

    # then
    assert server.ask("EXISTS", "left").strip() == ":0"


def test_a_peer_that_is_not_installed_is_named_with_what_installs_it(server: Server, places: Places) -> None:
    # when
    rounds = Rounds(plan_of("enqueue-bulk", "jobqueue", "streaq"), places, server, ignore)
    rounds.run()

    # then
    assert [run.peer for run in rounds.results.runs] == ["jobqueue"]
    ((missing, command),) = rounds.results.missing
    assert missing == "streaq"
    assert f"-m venv {places.home}/streaq && {places.home}/streaq/bin/python -m pip install" in command
    assert rounds.results.failures == ()


def test_a_peer_that_breaks_is_reported_with_what_it_said(server: Server, places: Places) -> None:
    # given a peer whose program ends with an error
    python = places.home / "broken" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.symlink_to(sys.executable)
    program = places.home / "run_broken.py"
    program.write_text("raise SystemExit('the peer has no broker')", encoding="utf-8")
    broken = Peer("broken", "Broken", str(program))
    places.mark_installed(broken)
    plan = replace(plan_of("enqueue-bulk", "jobqueue"), peers=(broken,))

    # when
    rounds = Rounds(plan, places, server, ignore)
    rounds.run()

    # then
    (failure,) = rounds.results.failures
    assert failure.reason == "exit status 1: the peer has no broker"


def test_a_run_that_is_interrupted_is_not_counted_and_those_before_are_kept(server: Server, places: Places) -> None:
    # given somebody who presses Ctrl-C as the second run begins
    def press(step: Step, outcome: Outcome | None) -> None:
        if step.round == 2:
            raise KeyboardInterrupt

    # when
    rounds = Rounds(plan_of("enqueue-bulk", "jobqueue", rounds=3), places, server, press)
    rounds.run()

    # then
    assert rounds.interrupted
    assert [run.round for run in rounds.results.runs] == [1]


def test_the_profile_says_what_each_step_costs(server: Server, places: Places) -> None:
    # when
    found = profiling.profile(places, server, JOBS, pinned=False)

    # then
    assert {"transport", "validate the payload", "record"} <= {line.name for line in found.steps}
    assert all(line.us > 0 for line in found.steps)
    assert f"{JOBS} no-ops" in profiling.as_text(found)


SMALL = Point("something", 1, waiting=100, warm=20, window=20, windows=3)


@pytest.mark.parametrize(
    "point",
    [
        replace(SMALL, waiting=200),
        replace(SMALL, delayed=20),
        replace(SMALL, in_lanes=True),
        replace(SMALL, handlers=10),
        replace(SMALL, queues=4, concurrency=2),
    ],
    ids=["waiting", "delayed", "lanes", "handlers", "queues"],
)
def test_growth_measures_windows_of_jobs(server: Server, places: Places, point: Point) -> None:
    # given
    seen: list[Grown] = []

    # when
    found = growth.measure((point,), places, server, seen.append, pinned=False)

    # then
    assert list(found) == seen
    assert found[0].wall_us.median > 0


def test_a_far_redis_takes_both_ways_longer(server: Server, places: Places) -> None:
    # given a round trip of 5 ms: nothing can be done in less
    distance = Distance(places, server, rounds=1, jobs=20, round_trips_ms=(5.0,))
    seen: list[Outcome] = []

    # when
    distance.run(lambda _, outcome: seen.append(outcome))

    # then
    assert [outcome.peer for outcome in seen if isinstance(outcome, Run)] == ["jobqueue", "node"]
    assert all(run.seconds > 0.005 for run in distance.results.runs)
    assert "| 5 ms |" in distance.as_table()


def test_unknown_names_are_refused_with_the_known_ones() -> None:
    with pytest.raises(UnknownPeer, match="no peer 'resque'; there are jobqueue, node"):
        peers_named(("resque",))
    with pytest.raises(UnknownWorkload, match="no workload 'drain'; there are drain-100"):
        workloads_named(("drain",))


def test_a_slow_peer_is_given_a_part_of_the_jobs() -> None:
    # given
    workload: Workload = workloads_named(("drain-100",))[0]
    ours, slow = peers_named(("jobqueue", "celery"))

    # then
    assert (ours.jobs_of(workload), slow.jobs_of(workload)) == (20_000, 5_000)
