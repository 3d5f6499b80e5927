"""The heartbeat."""

from __future__ import annotations

from handlers.heartbeat import heartbeat
from jobqueue._version import __version__
from jobqueue.clock import now_ms
from jobqueue.context import Resources
from tests.handlers.support.contexts import new_context, new_job


async def test_a_heartbeat_names_the_worker_its_version_and_the_time() -> None:
    before_ms = now_ms()

    beat = await heartbeat.function(new_context(new_job(), Resources()))

    assert beat == {"worker": "worker-1", "version": __version__, "time": beat["time"]}
    assert before_ms <= beat["time"] <= now_ms()


def test_a_heartbeat_takes_no_payload() -> None:
    assert heartbeat.name == "heartbeat"
    assert heartbeat.payload is None
