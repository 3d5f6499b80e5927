"""What a command imports: only what it needs, since each worker pays for it in memory."""

from __future__ import annotations

import subprocess
import sys

import pytest

TELL = "import sys, {module}; print(*sys.modules)"
WEB = {"starlette", "uvicorn", "jinja2", "board"}


@pytest.mark.parametrize(
    ("module", "unwanted"),
    [
        ("jobqueue.cli.worker", WEB | {"watchfiles", "cryptography.hazmat", "handlers", "alembic"}),
        ("jobqueue.cli.enqueue", WEB | {"watchfiles", "cryptography.hazmat", "handlers", "sqlalchemy", "alembic"}),
        ("jobqueue.cli", WEB | {"watchfiles", "cryptography.hazmat", "handlers", "sqlalchemy", "alembic"}),
    ],
)
def test_a_command_imports_no_more_than_it_needs(module: str, unwanted: set[str]) -> None:
    # when
    told = subprocess.run(
        [sys.executable, "-c", TELL.format(module=module)], capture_output=True, text=True, check=True, timeout=30
    )

    # then
    assert set(told.stdout.split()) & unwanted == set()
