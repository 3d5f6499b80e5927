"""Commands that are given secrets and cannot start say why, and repeat none of them; nor do those that run."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import pytest

from jobqueue.cli.signing_key import new_signing_key
from tests.cli.terminal import Running, Terminal
from tests.security.canary import CANARY
from tests.support.eventually import eventually
from tests.support.processes import free_port
from tests.support.redis_server import RedisServer

PEM: Final = new_signing_key()
IN_THE_KEY: Final = PEM.splitlines()[5]
SECRETS: Final = {
    "ENVIRONMENT": "production",
    "ADMIN_API_TOKEN": f"{CANARY}-token",
    "BULL_BOARD_USERNAME": "ada",
    "BULL_BOARD_PASSWORD": f"{CANARY}-board",
    "WEBHOOK_SIGNING_PRIVATE_KEY": PEM,
}
BROKEN_REGISTRY: Final = "import os\n\nraise RuntimeError('the service is broken')\n"
COMMANDS: Final = (("worker",), ("serve", "--port", "0"), ("doctor",), ("cron", "list"))


@pytest.fixture
def guarded_redis(own_redis: RedisServer) -> str:
    """A Redis that wants a password; the URL with it."""
    return f"redis://:{CANARY}-redis@127.0.0.1:{own_redis.port}/0"


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_that_cannot_start_repeats_no_secret(words: tuple[str, ...], terminal: Terminal) -> None:
    # given a registry that breaks with a trace, and places where nobody answers
    (terminal.folder / "broken.py").write_text(BROKEN_REGISTRY, encoding="utf-8")
    away = {
        "REDIS_URL": f"redis://u:{CANARY}-redis@127.0.0.1:{free_port()}/0",
        "DATABASE_URL": f"postgresql://u:{CANARY}-database@127.0.0.1:{free_port()}/x?ssl={CANARY}",
    }

    # when
    broken = terminal.run(*words, JOBS_REGISTRY="broken:registry", **SECRETS, **away)
    said = [broken.stdout, broken.stderr]
    if words[0] not in ("worker", "serve"):  # those would wait for Redis to come back
        done = terminal.run(*words, **SECRETS, **away)
        said += [done.stdout, done.stderr]

    # then
    assert broken.returncode in (1, 2)
    assert [text for text in said if CANARY in text or IN_THE_KEY in text] == []


@pytest.mark.parametrize(
    ("wrong", "command"),
    [
        ({"REDIS_URL": f"redis://u:{CANARY}@h:x/0"}, "serve"),
        ({"DATABASE_URL": f"postgresql://u:p@{CANARY}@h/db"}, "serve"),
        ({"BULL_BOARD_USERNAME": "", "BULL_BOARD_PASSWORD": CANARY}, "serve"),
        ({"WEBHOOK_SIGNING_PRIVATE_KEY": CANARY, "JOBS_REGISTRY": "handlers:registry"}, "worker"),
    ],
    ids=["REDIS_URL", "DATABASE_URL", "half a pair", "signing key"],
)
def test_a_setting_that_is_wrong_is_named_and_not_repeated(
    wrong: dict[str, str], command: str, terminal: Terminal
) -> None:
    done = terminal.run(command, **SECRETS | {"PORT": "0"} | wrong)

    assert done.returncode == 2, done.stderr
    assert CANARY not in done.stdout + done.stderr
    assert next(iter(wrong)) in done.stderr


async def test_what_runs_shows_no_secret_in_its_words_or_its_log(
    terminal: Terminal, guarded_redis: str, own_redis: RedisServer
) -> None:
    # given
    async with own_redis.client() as client:
        await client.config_set("requirepass", f"{CANARY}-redis")

    # when
    with (
        terminal.running("worker", "--processes", "2", REDIS_URL=guarded_redis, **SECRETS) as worker,
        terminal.running("serve", "--port", "0", REDIS_URL=guarded_redis, **SECRETS) as server,
    ):
        await eventually(lambda: worker.has_said("serves jobs", 2), 40)
        await eventually(lambda: server.has_said("serving"), 40)
        words = [line for one in (worker, server) for line in words_of(one)]
        said = worker.said() + server.said()

    # then
    assert len(words) >= 4
    assert [line for line in words if CANARY in line or IN_THE_KEY in line] == []
    assert CANARY not in said
    assert IN_THE_KEY not in said


def words_of(running: Running) -> list[str]:
    """The command lines of a process and of all that it has started, as everybody on the machine sees them."""
    return [Path(f"/proc/{one.pid}/cmdline").read_text(encoding="utf-8").replace("\0", " ") for one in running.family()]


def test_a_dev_server_gives_its_redis_no_secret_and_shows_none(terminal: Terminal) -> None:
    # given
    bare = terminal.beside({"JOBS_REGISTRY": "service:registry", "ADMIN_API_TOKEN": CANARY})

    # when
    with bare.running("dev", "--port", "0") as server:
        while not server.has_said("board   "):
            pass
        redis = [one for one in server.family()[1:] if "redis" in " ".join(one.cmdline())]
        environments = [one.environ() for one in redis]
        words = words_of(server)
        said = server.said()

    # then
    key = (terminal.folder / ".jobqueue" / "webhook-signing-key.pem").read_text(encoding="utf-8").splitlines()[5]
    assert environments
    assert [one for one in environments if CANARY in str(one) or key in str(one)] == []
    assert [text for text in [*words, said] if CANARY in text or key in text] == []
