"""Asking: pip-audit, put to one service after the other, and what it reports."""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any, Final, cast

SERVICES: Final = ("pypi", "osv")
"""Package indexes that are mirrors have the packages, but seldom what is known of them."""

_PROBE: Final = "pydantic"
_TIMEOUT_S: Final = 10
_LONGEST_S: Final = 600.0


@dataclass(frozen=True, slots=True)
class Finding:
    """A package with a vulnerability that somebody has published. `mended_in` is a version, or empty."""

    package: str
    ids: tuple[str, ...]
    mended_in: str


@dataclass(frozen=True, slots=True)
class Audit:
    """`count` packages were looked up; `unknown` are those that could not be."""

    count: int
    findings: tuple[Finding, ...]
    unknown: tuple[str, ...]


def audited_by(service: str, url: str | None = None) -> Audit | None:
    """All that is installed here, but for this project itself; None where the service does not answer.

    One package is asked for first: a service that is away would otherwise be waited for once for each.
    """
    with tempfile.NamedTemporaryFile("w", suffix=".txt") as probe:
        probe.write(f"{_PROBE}=={metadata.version(_PROBE)}\n")
        probe.flush()
        known = _ask(service, url, ("--requirement", probe.name, "--no-deps", "--disable-pip"))
    if known is None or known.count == 0:
        return None
    return _ask(service, url, ("--local", "--skip-editable"))


def read_report(text: str) -> Audit | None:
    """What pip-audit has printed; None where that is no report, since it gave up."""
    try:
        listed: list[dict[str, Any]] = json.loads(text)["dependencies"]
    except (ValueError, LookupError, TypeError):
        return None
    looked_up = [one for one in listed if "skip_reason" not in one]
    return Audit(
        count=len(looked_up),
        findings=tuple(_finding(one, vulnerability) for one in looked_up for vulnerability in one["vulns"]),
        unknown=tuple(
            str(one["name"]) for one in listed if "skip_reason" in one and "editable" not in one["skip_reason"]
        ),
    )


def _finding(package: dict[str, Any], vulnerability: dict[str, Any]) -> Finding:
    versions = cast(list[str], vulnerability["fix_versions"])
    ids = (str(vulnerability["id"]), *map(str, vulnerability["aliases"]))
    return Finding(f"{package['name']} {package['version']}", ids, versions[0] if versions else "")


def _ask(service: str, url: str | None, what: Sequence[str]) -> Audit | None:
    program = str(Path(sys.executable).with_name("pip-audit"))
    how = ("--format", "json", "--progress-spinner", "off", "--timeout", str(_TIMEOUT_S))
    where = ("--vulnerability-service", service, *(() if url is None else ("--osv-url", url)))
    try:
        done = subprocess.run(
            [program, *how, *where, *what], capture_output=True, text=True, check=False, timeout=_LONGEST_S
        )
    except subprocess.TimeoutExpired:
        return None
    return read_report(done.stdout)
