"""A worker that is killed in the middle of a flow: nothing is lost, and the parent runs once."""

from __future__ import annotations

from jobqueue import App, Registry
from jobqueue.flows import flow
from tests.conftest import MakeSettings
from tests.worker.crew import Crew
from tests.worker.harness import at_work
from tests.worker.programs import crew as program

FOR_EVER_MS = 600_000


async def test_a_worker_that_is_killed_in_the_middle_of_a_flow_loses_none_of_it(
    settings: MakeSettings, crew: Crew
) -> None:
    short = settings(worker_lock_ms=1_000, worker_stalled_ms=100)

    async with App(Registry(program.HANDLERS), short) as app:
        # given: a child that has ended, two that run and one that waits for a child of its own which runs
        victim = crew.start(short)
        held = [flow(program.work, FOR_EVER_MS) for _ in range(2)]
        above = flow(program.work, 0, children=[flow(program.work, FOR_EVER_MS)])
        stored = await app.enqueue_flow(flow(program.work, 0, children=[flow(program.work, 0), *held, above]))
        await stored.children[0].wait(20)
        await crew.have_started(4)

        # when
        victim.kill()
        victim.wait()
        async with at_work(short, *program.HANDLERS):
            await stored.wait(20)

    # then
    runs = crew.runs()
    first, *running, waiting = stored.children
    assert [runs[job.job_id] for job in (stored, first, waiting)] == [1, 1, 1]
    assert [runs[job.job_id] for job in (*running, *waiting.children)] == [2, 2, 2]
    assert crew.lines("end")[-1].job_id == stored.job_id
