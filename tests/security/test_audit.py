"""The audit of what is installed: it fails for what is known, and says so where nobody can be asked."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from scripts.audit.asking import Audit, Finding, read_report
from tests.security.source import ROOT
from tests.support.processes import free_port

NOT_THERE = "http://127.0.0.1:{}/v1/query"


@contextmanager
def advisories(known: Mapping[str, str]) -> Generator[str]:
    """A service that speaks OSV's language and knows of these packages; yields its URL."""

    class Answering(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            asked: dict[str, Any] = json.loads(self.rfile.read(int(self.headers["content-length"])))
            name = asked["package"]["name"]
            affected: list[dict[str, object]] = [{"package": {"name": name, "ecosystem": "PyPI"}, "ranges": []}]
            found: dict[str, object] = {"vulns": [{"id": known[name], "affected": affected}]} if name in known else {}
            body = json.dumps(found).encode()
            self.send_response(200)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
            """Nothing: pytest shows what a test prints."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Answering) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield NOT_THERE.format(server.server_address[1])
        finally:
            server.shutdown()
            thread.join()


def audit(url: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.audit", "--osv-url", url]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=55)


def test_a_known_vulnerability_fails_the_check_and_is_named() -> None:
    with advisories({"redis": "GHSA-made-up"}) as url:
        done = audit(url)

    assert done.returncode == 1, done.stderr
    assert "GHSA-made-up; mended in no version" in done.stdout
    assert ": 1 with known vulnerabilities" in done.stdout


def test_where_nothing_is_known_the_check_passes_and_says_how_much_was_looked_at() -> None:
    with advisories({}) as url:
        done = audit(url)

    assert done.returncode == 0, done.stderr
    assert "packages audited by osv: 0 with known vulnerabilities" in done.stdout


def test_where_nobody_answers_the_check_passes_and_says_that_nothing_was_audited() -> None:
    done = audit(NOT_THERE.format(free_port()))

    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("not audited: no answer from http://127.0.0.1:")


def test_a_package_that_the_service_does_not_know_is_not_counted_as_audited() -> None:
    report = {
        "dependencies": [
            {"name": "a", "version": "1", "vulns": [{"id": "X-1", "aliases": ["Y-1"], "fix_versions": ["2"]}]},
            {"name": "b", "skip_reason": "not found on PyPI"},
            {"name": "jobqueue", "skip_reason": "distribution marked as editable"},
        ]
    }

    assert read_report(json.dumps(report)) == Audit(1, (Finding("a 1", ("X-1", "Y-1"), "2"),), ("b",))


@pytest.mark.parametrize("text", ["", "Traceback", "[]", '{"other": 1}'])
def test_what_is_no_report_is_no_answer(text: str) -> None:
    assert read_report(text) is None
