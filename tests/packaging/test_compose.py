"""docker-compose.yml, read as YAML: its services run commands that there are, with settings that there are."""

from __future__ import annotations

import importlib
import re
from collections.abc import Mapping
from typing import Any, Protocol, cast

import pytest

from jobqueue import Settings
from tests.cli.test_documentation import parse
from tests.packaging.built import ROOT
from tests.support.redis_groups import ask
from tests.support.redis_server import running_redis

OURS = ("migrate", "worker", "board")


class _Yaml(Protocol):
    def safe_load(self, text: str) -> Any: ...


def services() -> Mapping[str, Mapping[str, Any]]:
    yaml = cast(_Yaml, importlib.import_module("yaml"))
    document: Mapping[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
    assert set(document["services"]) == {"redis", "postgres", *OURS}
    found: Mapping[str, Mapping[str, Any]] = document["services"]
    return found


@pytest.mark.parametrize("name", OURS)
def test_a_service_runs_a_command_that_there_is_with_settings_that_there_are(name: str) -> None:
    service = services()[name]

    parse(service["command"])

    known = {field.upper() for field in Settings.model_fields}
    given = {variable: re.sub(r"^\$\{.*\}$", "x", value) for variable, value in service["environment"].items()}
    assert set(given) <= known
    settings = Settings.load(**{variable.lower(): value for variable, value in given.items()})
    assert settings.environment == "production"
    assert settings.has_overflow


def test_the_board_and_the_signing_of_webhooks_do_not_start_without_their_secrets() -> None:
    board, worker = services()["board"]["environment"], services()["worker"]["environment"]

    assert board["BULL_BOARD_USERNAME"].startswith("${BULL_BOARD_USERNAME:?")
    assert board["BULL_BOARD_PASSWORD"].startswith("${BULL_BOARD_PASSWORD:?")
    assert worker["WEBHOOK_SIGNING_PRIVATE_KEY"].startswith("${WEBHOOK_SIGNING_PRIVATE_KEY:?")


def test_its_redis_logs_every_write_and_evicts_nothing() -> None:
    program, *options = services()["redis"]["command"]

    assert program == "redis-server"
    with running_redis(appendonly=False, options=tuple(options)) as server:
        assert ask(server.port, "CONFIG", "GET", "appendonly") == ["appendonly", "yes"]
        assert ask(server.port, "CONFIG", "GET", "maxmemory-policy") == ["maxmemory-policy", "noeviction"]


def test_a_worker_has_longer_to_stop_than_its_jobs_have() -> None:
    grace = services()["worker"]["stop_grace_period"]

    assert int(grace.removesuffix("s")) > Settings.model_fields["worker_shutdown_ms"].default / 1000 + 6


def test_a_health_check_asks_where_its_service_listens() -> None:
    """Of the worker: the port of its `--health-port`; of the board: that of its `--port`, which is published."""
    worker, board = services()["worker"], services()["board"]

    for service, option in ((worker, "--health-port"), (board, "--port")):
        port = service["command"][service["command"].index(option) + 1]
        assert f"http://127.0.0.1:{port}/healthz" in service["healthcheck"]["test"][-1]
    assert board["ports"] == ["127.0.0.1:8000:8000"]


def test_nothing_is_published_to_the_outside_and_all_data_have_a_volume() -> None:
    ports = [port for service in services().values() for port in service.get("ports", ())]

    assert [port for port in ports if not port.startswith("127.0.0.1:")] == []
    assert all(services()[name]["volumes"] for name in ("redis", "postgres"))


def test_what_is_ours_waits_until_redis_answers_and_the_tables_are_there() -> None:
    for name in ("worker", "board"):
        waits_for = {on: one["condition"] for on, one in services()[name]["depends_on"].items()}
        assert waits_for == {"redis": "service_healthy", "migrate": "service_completed_successfully"}
    assert services()["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_the_image_is_built_from_files_that_docker_is_given() -> None:
    """What .dockerignore keeps back, the build inside the image does not see."""
    given = set(re.findall(r"^!(\S+)$", (ROOT / ".dockerignore").read_text("utf-8"), re.MULTILINE))

    assert given == {"pyproject.toml", "README.md", "LICENSE", "jobqueue", "handlers", "board", "pytest_jobqueue.py"}
    assert re.search(r'^ENTRYPOINT \["jobqueue"\]$', (ROOT / "Dockerfile").read_text("utf-8"), re.MULTILINE)
