"""An error tracker by a listener: the example of the documentation, with a real server that takes its envelopes."""

from __future__ import annotations

import gzip
import json
import re
import runpy
import threading
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import sentry_sdk

from jobqueue import App, JobContext, Registry, make_job
from jobqueue.events import Event
from jobqueue.worker import Worker
from tests.conftest import MakeSettings
from tests.telemetry.collector import body_of
from tests.worker.harness import end_of

PAGE = Path(__file__).parents[2] / "docs" / "telemetry.md"
SECRET = "a secret of the customer"


class ShopIsClosed(Exception): ...


async def work(ctx: JobContext, payload: str) -> None:
    raise ShopIsClosed("come back tomorrow")


pack = make_job(work, name="pack", attempts=1)


@contextmanager
def taking_envelopes() -> Generator[tuple[str, list[bytes]]]:
    """A server that takes what an error tracker sends; its DSN, and the bodies."""
    bodies: list[bytes] = []

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            bodies.append(gzip.decompress(body_of(self)))
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"{}")

        def log_request(self, code: object = "-", size: object = "-") -> None: ...

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True).start()
        try:
            yield f"http://key@127.0.0.1:{server.server_port}/1", bodies
        finally:
            server.shutdown()


def documented() -> str:
    """The block of the page that sets the tracker up."""
    blocks: list[str] = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    [block] = [block for block in blocks if "sentry" in block]
    return block


@pytest.fixture
async def sent(settings: MakeSettings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[list[bytes]]:
    """What has left after one job that failed, uncompressed."""
    with taking_envelopes() as (dsn, bodies):
        monkeypatch.setenv("SENTRY_DSN", dsn)
        async with App(Registry([pack]), settings()) as app, Worker(app):
            example = tmp_path / "example.py"
            example.write_text(documented(), encoding="utf-8")
            runpy.run_path(str(example), {"app": app, "Event": Event})
            job = await app.enqueue_job(pack, SECRET)
            await end_of(app, job.job_id)
        sentry_sdk.flush(5)
        sentry_sdk.get_client().close()
        yield bodies


async def test_the_error_arrives_with_its_stack_and_its_job_and_without_its_payload(sent: list[bytes]) -> None:
    [event] = [event for body in sent for event in events_in(body)]
    [error] = event["exception"]["values"]
    assert (error["type"], error["value"]) == ("ShopIsClosed", "come back tomorrow")
    assert error["stacktrace"]["frames"][-1]["function"] == "work"
    tags = event["tags"]
    assert (tags["handler"], tags["queue"]) == ("pack", "jobs")
    job = event["contexts"]["job"]
    assert (job["id"], job["attempt"]) == ("1", 1)
    assert SECRET not in json.dumps(event)


def events_in(body: bytes) -> list[dict[str, Any]]:
    lines: list[dict[str, Any]] = [json.loads(line) for line in body.splitlines() if line]
    return [line for line in lines if "exception" in line]
