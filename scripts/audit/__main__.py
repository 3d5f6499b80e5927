"""The command: `python -m scripts.audit`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from scripts.audit.asking import SERVICES, Audit, audited_by


def main(arguments: Sequence[str]) -> int:
    """Audit by the first service that answers; the exit status is 1 where it knows of a vulnerability, else 0."""
    parser = argparse.ArgumentParser(prog="scripts/audit/run", description="Ask what is known of vulnerabilities.")
    parser.add_argument("--osv-url", metavar="URL", help="ask this service alone, which speaks OSV's language")
    url = parser.parse_args(arguments).osv_url
    for service in SERVICES if url is None else ("osv",):
        audit = audited_by(service, url)
        if audit is not None:
            sys.stdout.write(as_text(audit, service))
            return 1 if audit.findings else 0
    sys.stdout.write(f"not audited: no answer from {' or '.join(SERVICES if url is None else (url,))}\n")
    return 0


def as_text(audit: Audit, service: str) -> str:
    """What was found, a line each, and what could not be looked up."""
    lines = [
        f"{one.package}: {', '.join(one.ids)}; mended in {one.mended_in or 'no version'}" for one in audit.findings
    ]
    if audit.unknown:
        lines.append(f"not audited, since {service} does not know them: {', '.join(audit.unknown)}")
    lines.append(f"{audit.count} packages audited by {service}: {len(audit.findings)} with known vulnerabilities")
    return "".join(f"{line}\n" for line in lines)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
