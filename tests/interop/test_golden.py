"""The golden files: what Node writes to Redis; we write the same but for the differences named here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import pytest
from pydantic import BaseModel, JsonValue, TypeAdapter

from jobqueue.app import App
from jobqueue.context import JobContext
from jobqueue.handler import Handler
from jobqueue.job import EnqueueOptions, exponential, fixed
from jobqueue.registry import Registry
from jobqueue.settings import Settings
from jobqueue.wrappers import make_job
from tests.conftest import MakeSettings
from tests.interop import golden
from tests.interop.golden import GoldenJob
from tests.interop.golden_cases import CASES, HOUR_MS, Event, GoldenCase
from tests.interop.node_peer import NodePeer
from tests.interop.ours import working

Object = dict[str, JsonValue]
OBJECT: TypeAdapter[Object] = TypeAdapter(Object)

# The policy of a handler travels with each of its jobs, so that a Node worker keeps to it: in Node's words
# and in those that are stored, which differ in one.
POLICY: Object = {
    "attempts": 3,
    "backoff": {"type": "exponential", "delay": 5_000},
    "removeOnComplete": {"age": 7 * 24 * 3_600, "count": 10_000},
    "removeOnFail": {"age": 30 * 24 * 3_600, "count": 10_000},
}
NODE_POLICY: Object = POLICY | {"keepLogs": 1_000}
STORED_POLICY: Object = POLICY | {"kl": 1_000}

# A stack of Python's names the error in its last line, Node's in its first.
PYTHON_STACK = "Traceback (most recent call last): <a stack>"

# Where we fail a job for good, its stalls are counted from none again: a retry by hand gets all its claims.
NO_STALLS = "0"


class Report(BaseModel):
    title: str = "Übersicht ✓"
    pages: int = 3
    rate: float = 0.5


@make_job(name="sendReport")
async def send_report(ctx: JobContext, payload: Report) -> JsonValue:
    """What the processor `echo` does in Node: the whole data comes back."""
    return {"type": "adhoc", "payload": payload.model_dump()}


@make_job(name="sendReport")
async def return_nothing(ctx: JobContext, payload: Report) -> None:
    """Node's processor `none`."""


@make_job(name="sendReport")
async def report_and_return(ctx: JobContext, payload: Report) -> JsonValue:
    """Node's processor `report`."""
    ctx.progress({"done": 1})
    ctx.log("half")
    return {"type": "adhoc", "payload": payload.model_dump()}


@make_job(name="sendReport")
async def find_no_route(ctx: JobContext, payload: Report) -> None:
    """Node's processor `fail`."""
    raise RuntimeError("no route")


@dataclass(frozen=True, slots=True)
class OurCase:
    """What is asked of us where Node was asked for the golden job of that title.

    `opts` and `changes` are what differs from Node's options and from its hash, beside the handler's policy.
    """

    title: str
    options: EnqueueOptions = field(default_factory=EnqueueOptions)
    handler: Handler[Report] = send_report
    until: Event | None = None
    opts: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])
    changes: Mapping[str, JsonValue] = field(default_factory=dict[str, JsonValue])


ADDED: tuple[OurCase, ...] = (
    OurCase("plain"),
    OurCase("delayed", {"delay_ms": HOUR_MS}),
    OurCase("priority", {"priority": 7}),
    OurCase("delayed_priority", {"delay_ms": HOUR_MS, "priority": 7}),
    OurCase("attempts_exponential", {"attempts": 5, "backoff": exponential(1000)}),
    OurCase("attempts_fixed", {"attempts": 5, "backoff": fixed(1000)}),
    OurCase("attempts_number", {"attempts": 5, "backoff": 1000}),
    OurCase("attempts_jitter", {"attempts": 5, "backoff": exponential(1000, jitter=0.5)}),
    OurCase("custom_id", {"job_id": "report-2026"}),
)
RUN: tuple[OurCase, ...] = (
    OurCase("completed", until="completed"),
    OurCase("completed_with_null", handler=return_nothing, until="completed"),
    OurCase("completed_with_reports", handler=report_and_return, until="completed"),
    OurCase(
        "failed",
        {"attempts": 1},  # as many as Node makes of its 0
        find_no_route,
        "failed",
        opts={"attempts": 1},
        changes={"stacktrace": [PYTHON_STACK], "stc": NO_STALLS},
    ),
    OurCase(
        "failed_after_attempts",
        {"attempts": 2, "backoff": 1},
        find_no_route,
        "failed",
        changes={"stacktrace": [PYTHON_STACK, PYTHON_STACK], "stc": NO_STALLS},
    ),
    OurCase(
        "in_backoff",
        {"attempts": 3, "backoff": HOUR_MS},
        find_no_route,
        "delayed",
        changes={"stacktrace": [PYTHON_STACK]},
    ),
)


def titled(case: GoldenCase | OurCase) -> str:
    return case.title


@pytest.mark.parametrize("case", CASES, ids=titled)
async def test_node_still_writes_what_was_recorded(node: NodePeer, case: GoldenCase) -> None:
    # when
    raw = await golden.record(node, case)

    # then
    assert golden.normalise(raw) == golden.read(case.title)
    assert raw.meta == golden.read_meta()


def test_each_golden_file_has_its_case() -> None:
    recorded = {path.stem for path in golden.FOLDER.glob("*.json")}

    assert recorded == {case.title for case in CASES} | {golden.META}


@pytest.mark.parametrize("case", ADDED, ids=titled)
async def test_the_job_that_we_add_is_the_one_that_node_recorded(
    node: NodePeer, settings: MakeSettings, case: OurCase
) -> None:
    assert await added_by_us(node, settings(), case) == expected(case)


@pytest.mark.parametrize("case", RUN, ids=titled)
async def test_the_job_that_we_run_is_the_one_that_node_recorded(
    node: NodePeer, settings: MakeSettings, case: OurCase
) -> None:
    # given
    assert case.until is not None
    await node.start_events()

    # when
    async with working(settings(), case.handler) as app:
        result = await app.enqueue_job(case.handler, Report(), **case.options)
        await node.wait_for_event(case.until, result.job_id)
        raw = await node.raw(result.job_id)

    # then: the worker's name is its own
    ours = golden.normalise(raw)
    recorded = expected(case)
    assert named(ours).hash == recorded.hash
    assert ours.state == recorded.state


@pytest.mark.parametrize("case", ADDED, ids=titled)
async def test_node_asked_for_the_policy_too_writes_the_very_same_job(
    node: NodePeer, settings: MakeSettings, case: OurCase
) -> None:
    # given
    ours = await added_by_us(node, settings(), case)
    [asked] = [recorded for recorded in CASES if recorded.title == case.title]

    # when
    peer = node.on("asked-for-the-same")
    job_id = await peer.add(asked.name, asked.data, NODE_POLICY | dict(asked.opts))

    # then
    assert golden.normalise(await peer.raw(job_id)) == ours


async def test_we_write_the_meta_that_node_writes(node: NodePeer, settings: MakeSettings) -> None:
    async with working(settings(), send_report) as app:
        result = await app.enqueue_job(send_report, Report(), delay_ms=HOUR_MS)
        raw = await node.raw(result.job_id, silent=True)

    assert raw.meta == golden.read_meta()


async def added_by_us(node: NodePeer, settings: Settings, case: OurCase) -> GoldenJob:
    async with App(Registry([case.handler]), settings) as app:
        result = await app.enqueue_job(case.handler, Report(), **case.options)
    return golden.normalise(await node.raw(result.job_id))


def expected(case: OurCase) -> GoldenJob:
    """Node's record, with the policy of our handler and the differences of the case."""
    recorded = golden.read(case.title)
    asked = OBJECT.validate_python(recorded.hash["opts"])
    if asked["attempts"] == 0:
        del asked["attempts"]
    opts = STORED_POLICY | asked | dict(case.opts)
    return replace(recorded, hash=recorded.hash | {"opts": opts} | dict(case.changes))


def named(job: GoldenJob) -> GoldenJob:
    """The job as if our worker had the name of the recorded one."""
    assert job.hash["pb"]
    return replace(job, hash=job.hash | {"pb": golden.WORKER_NAME})
