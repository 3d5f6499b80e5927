"""Settings: read once from the environment; a wrong value stops the start and names itself."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from pydantic import ValidationError

from jobqueue import App, Registry, Settings, SettingsError, make_job
from jobqueue.context import JobContext
from jobqueue.job import DAY_S, Keep, exponential, fixed
from jobqueue.policy import Limit, RateLimit, limit

SetVariable = Callable[[str, str], None]


@pytest.fixture
def variable(monkeypatch: pytest.MonkeyPatch) -> SetVariable:
    """Sets one environment variable in an environment that has none of ours."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)
    return monkeypatch.setenv


WRONG = [
    ("REDIS_CONNECT_MS", "0"),
    ("REDIS_CALL_MS", "soon"),
    ("JOBS_QUEUE", "a:b"),
    ("JOBS_QUEUE", "{a}"),
    ("JOBS_QUEUE", "q" * 201),
    ("JOBS_QUEUE", "line\nbreak"),
    ("JOBS_PREFIX", "tab\t"),
    ("JOBS_REGISTRY", "handlers"),
    ("JOBS_REGISTRY", "handlers:registry:more"),
    ("JOBS_MAX_PAYLOAD_BYTES", "1MiB"),
    ("JOBS_MAX_PAYLOAD_BYTES", "0"),
    ("JOBS_MAX_RESULT_BYTES", "-1"),
    ("WORKER_CONCURRENCY", "0"),
    ("WORKER_CONCURRENCY", "10.5"),
    ("WORKER_CONCURRENCY", "100001"),
    ("WORKER_LOCK_MS", "999"),
    ("WORKER_STALLED_MS", "99"),
    ("WORKER_TIMEOUT_MS", "0"),
    ("WORKER_SHUTDOWN_MS", "-1"),
    ("BULL_BOARD_PATH", "board"),
    ("BULL_BOARD_PATH", "/board/"),
    ("BULL_BOARD_PATH", "/../<script>"),
]


@pytest.mark.parametrize(("name", "value"), WRONG, ids=[f"{name}={value!r:.20}" for name, value in WRONG])
def test_a_wrong_value_stops_the_start_and_names_its_variable(variable: SetVariable, name: str, value: str) -> None:
    variable(name, value)

    with pytest.raises(SettingsError, match=f"^{name}: ") as refused:
        Settings.load()

    assert refused.value.setting == name


@pytest.mark.parametrize("name", [name.upper() for name in Settings.model_fields])
def test_an_empty_variable_counts_as_not_set(variable: SetVariable, name: str) -> None:
    default = Settings.load()

    variable(name, "")

    assert Settings.load() == default


def test_every_variable_reaches_its_field(variable: SetVariable, tmp_path: Path) -> None:
    variable("ENVIRONMENT", "local")
    variable("REDIS_URL", "redis://example:1/2")
    variable("JOBS_QUEUE", "mail")
    variable("JOBS_PREFIX", "{shop}")
    variable("JOBS_CONFIG", str(tmp_path / "jobs.toml"))
    variable("WORKER_CONCURRENCY", "3")
    variable("WORKER_TIMEOUT_MS", "1500")
    variable("BULL_BOARD_USERNAME", "ada")
    variable("BULL_BOARD_PASSWORD", "lovelace")

    settings = Settings.load()

    assert settings.is_local
    assert (settings.redis_url, settings.jobs_queue) == ("redis://example:1/2", "mail")
    assert (settings.jobs_prefix, settings.jobs_config) == ("{shop}", tmp_path / "jobs.toml")
    assert (settings.worker_concurrency, settings.worker_timeout_ms) == (3, 1500)
    assert settings.bull_board_password is not None
    assert settings.bull_board_password.get_secret_value() == "lovelace"


def test_the_defaults_are_those_of_the_documentation(variable: SetVariable) -> None:
    settings = Settings.load()

    assert (settings.jobs_queue, settings.jobs_prefix) == ("jobs", "bull")
    assert settings.jobs_registry == "handlers:registry"
    assert (settings.jobs_max_payload_bytes, settings.jobs_max_result_bytes) == (1024**2, 5 * 1024**2)
    assert (settings.worker_concurrency, settings.worker_lock_ms) == (10, 300_000)
    assert (settings.worker_stalled_ms, settings.worker_shutdown_ms) == (30_000, 30_000)
    assert settings.worker_timeout_ms is None
    assert settings.bull_board_path == "/bullBoard"
    assert (settings.redis_connect_ms, settings.redis_call_ms) == (1_000, 5_000)


def test_an_environment_that_is_not_set_is_not_local(variable: SetVariable) -> None:
    assert not Settings.load().is_local


@pytest.mark.parametrize(
    ("given", "missing"),
    [("BULL_BOARD_USERNAME", "BULL_BOARD_PASSWORD"), ("BULL_BOARD_PASSWORD", "BULL_BOARD_USERNAME")],
)
def test_half_a_pair_of_credentials_names_the_missing_half(variable: SetVariable, given: str, missing: str) -> None:
    variable(given, "half")

    with pytest.raises(SettingsError, match=f"^{missing}: is not set"):
        Settings.load()


def test_an_empty_half_counts_as_missing(variable: SetVariable) -> None:
    variable("BULL_BOARD_USERNAME", "ada")
    variable("BULL_BOARD_PASSWORD", "")

    with pytest.raises(SettingsError, match=r"^BULL_BOARD_PASSWORD"):
        Settings.load()


def test_an_empty_override_counts_as_not_set_too(variable: SetVariable) -> None:
    """Half a pair that is empty would else be a board that takes an empty password."""
    settings = Settings.load(bull_board_username="", bull_board_password="")

    assert settings.bull_board_username is None
    assert settings.bull_board_password is None


SECRETS = ["BULL_BOARD_PASSWORD", "ADMIN_API_TOKEN", "WEBHOOK_SIGNING_PRIVATE_KEY"]


@pytest.mark.parametrize("name", SECRETS)
def test_a_secret_is_in_no_repr(variable: SetVariable, name: str) -> None:
    variable("BULL_BOARD_USERNAME", "ada")
    variable("BULL_BOARD_PASSWORD", "hunter2")
    variable(name, "hunter2")

    settings = Settings.load()

    assert "hunter2" not in repr(settings)
    assert "hunter2" not in str(settings)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("REDIS_URL", "redis://ada:hunter2@127.0.0.1:6379/0"),
        ("DATABASE_URL", "postgresql+asyncpg://ada:hunter2@127.0.0.1/jobs"),
    ],
)
def test_the_password_of_an_address_is_in_no_repr(variable: SetVariable, name: str, value: str) -> None:
    variable(name, value)

    assert "hunter2" not in repr(Settings.load())


def test_a_wrong_value_of_a_secret_is_not_in_the_error(variable: SetVariable) -> None:
    variable("REDIS_URL", "redis://ada:hunter2@127.0.0.1:notaport/0")

    with pytest.raises(SettingsError, match="REDIS_URL") as refused:
        App(Registry(), Settings.load())

    assert "hunter2" not in str(refused.value)


def test_settings_do_not_change(variable: SetVariable) -> None:
    settings = Settings.load()

    with pytest.raises(ValidationError, match="frozen"):
        settings.jobs_queue = "other"


# JOBS_CONFIG


@make_job(name="send", attempts=5, timeout_ms=100)
async def send(ctx: JobContext) -> None: ...


@make_job(name="tidy")
async def tidy(ctx: JobContext) -> None: ...


def tenant_of(payload: str) -> str:
    return payload


@make_job(name="mail", concurrency=limit(3, by=tenant_of))
async def mail(ctx: JobContext, payload: str) -> None: ...


Configure = Callable[[str], Registry]


@pytest.fixture
def configure(variable: SetVariable, tmp_path: Path) -> Configure:
    """The registry of `send`, `tidy` and `mail` under a configuration file of this text."""

    def configured(text: str) -> Registry:
        file = tmp_path / "jobs.toml"
        file.write_text(text, encoding="utf-8")
        return App(Registry([send, tidy, mail]), Settings.load(jobs_config=file)).registry

    return configured


def test_defaults_and_a_handlers_own_table_are_merged_field_by_field(configure: Configure) -> None:
    registry = configure("[defaults]\nattempts = 7\ngrace_ms = 9\n[handlers.send]\nattempts = 2\npriority = 4\n")

    sending, tidying = registry.get("send").policy, registry.get("tidy").policy

    assert (sending.attempts, sending.grace_ms, sending.priority) == (2, 9, 4)
    assert sending.timeout_ms == 100  # the code's own, which the file does not mention
    assert (tidying.attempts, tidying.grace_ms, tidying.priority) == (7, 9, 0)


def test_the_handler_of_the_code_keeps_its_own_policy(configure: Configure) -> None:
    configure("[handlers.send]\nattempts = 2\n")

    assert send.policy.attempts == 5


def test_a_file_can_say_backoff_and_retention(configure: Configure) -> None:
    registry = configure(
        "[handlers.send]\nbackoff = {kind = 'exponential', delay_ms = 10, jitter = 0.5}\n"
        "keep_failed = {age_s = 60, count = 3}\n"
        "[handlers.tidy]\nbackoff = 250\n"
    )

    assert registry.get("send").policy.backoff == exponential(10, jitter=0.5)
    assert registry.get("send").policy.keep_failed == Keep(60, 3)
    assert registry.get("send").policy.keep_completed == Keep(7 * DAY_S, 10_000)
    assert registry.get("tidy").policy.backoff == fixed(250)


def test_a_file_can_say_how_jobs_are_limited_and_told_apart(configure: Configure) -> None:
    registry = configure(
        "[handlers.send]\nconcurrency = 5\nrate_limit = [10, 1000]\nordered = true\n"
        "duplicates = 'reject'\nack = 'manual'\nrun_in = 'process'\n"
    )

    sending = registry.get("send").policy
    assert (sending.concurrency, sending.rate_limit) == (Limit(5), RateLimit(max=10, per_ms=1_000))
    assert (sending.ordered, sending.duplicates, sending.ack, sending.run_in) == (True, "reject", "manual", "process")


@pytest.mark.parametrize("table", ["defaults", "handlers.mail"])
def test_a_number_in_a_file_changes_how_many_run_at_once_but_not_of_what(configure: Configure, table: str) -> None:
    """A file that raises a limit of 3 a tenant to 5 must not make it 5 for all tenants together."""
    registry = configure(f"[{table}]\nconcurrency = 5\n")

    assert registry.get("mail").policy.concurrency == limit(5, by=tenant_of)
    assert registry.get("send").policy.concurrency == (Limit(5) if table == "defaults" else None)


def test_an_empty_file_changes_nothing(configure: Configure) -> None:
    assert configure("").get("send").policy == send.policy


BAD_FILES = [
    ("[handlers.ghost]\nattempts = 2", r"handlers\.ghost"),
    ("[other]\nattempts = 2", "other"),
    ("attempts = 2", "attempts"),
    ("[handlers]\nsend = 3", "send"),
    ("defaults = 3", "defaults"),
    ("handlers = []", "handlers"),
    ("[handlers.send]\nattemps = 2", "send.*attemps"),
    ("[handlers.send]\nname = 'x'", "send.*name"),
    ("[handlers.send]\nattempts = 0", "send.*attempts"),
    ("[handlers.send]\nattempts = '2'", "send.*attempts"),
    ("[handlers.send]\nattempts = 2.0", "send.*attempts"),
    ("[handlers.send]\nattempts = true", "send.*attempts"),
    ("[handlers.send]\npriority = 2097152", "send.*priority"),
    ("[handlers.send]\ngrace_ms = -1", "send.*grace_ms"),
    ("[handlers.send]\ntimeout_ms = 0", "send.*timeout_ms"),
    ("[handlers.send]\nqueue = 'a:b'", "send.*queue"),
    ("[handlers.send]\nqueue = ''", "send.*queue"),
    ("[handlers.send]\nqueue = 3", "send.*queue"),
    ("[handlers.send]\nbackoff = 'often'", "send.*backoff"),
    ("[handlers.send]\nbackoff = -1", "send.*backoff"),
    ("[handlers.send]\nbackoff = {kind = 'linear', delay_ms = 5}", "send.*backoff"),
    ("[handlers.send]\nbackoff = {kind = 'fixed', delay_ms = 'x'}", "send.*backoff"),
    ("[handlers.send]\nbackoff = {kind = 'fixed', wait = 1}", "send.*backoff"),
    ("[handlers.send]\nkeep_completed = 5", "send.*keep_completed"),
    ("[handlers.send]\nkeep_completed = {days = 5}", "send.*keep_completed"),
    ("[handlers.send]\nkeep_completed = {count = -5}", "send.*keep_completed"),
    ("[handlers.send]\nkeep_completed = {age_s = 'week'}", "send.*keep_completed"),
    ("[handlers.send]\nunrecoverable = ['ValueError']", "send.*unrecoverable"),
    ("[handlers.send]\nconcurrency = 0", "send.*concurrency"),
    ("[handlers.mail]\nconcurrency = 0", "mail.*concurrency"),
    ("[handlers.mail]\nconcurrency = true", "mail.*concurrency"),
    ("[handlers.send]\nconcurrency = {max = 3}", "send.*concurrency"),
    ("[handlers.send]\nrate_limit = 10", "send.*rate_limit"),
    ("[handlers.send]\nrate_limit = [10]", "send.*rate_limit"),
    ("[handlers.send]\nrate_limit = [0, 1000]", "send.*rate_limit"),
    ("[handlers.send]\nordered = 'yes'", "send.*ordered"),
    ("[handlers.send]\nduplicates = 'drop'", "send.*duplicates"),
    ("[handlers.send]\nack = 'late'", "send.*ack"),
    ("[handlers.send]\nrun_in = 'thread'", "send.*run_in"),
    ("[defaults]\nconcurrency = -1", "defaults.*concurrency"),
    ("[defaults]\nattempts = 0", "defaults.*attempts"),
    ("attempts = = 2", "cannot read"),
    ("[handlers.send]\n[handlers.send]", "cannot read"),
]


@pytest.mark.parametrize(("text", "named"), BAD_FILES, ids=[text[:60].replace("\n", " ") for text, _ in BAD_FILES])
def test_a_wrong_configuration_names_what_is_wrong(configure: Configure, text: str, named: str) -> None:
    with pytest.raises(SettingsError, match=f"JOBS_CONFIG: .*{named}"):
        configure(text)


def test_a_configuration_that_is_missing_names_the_file(variable: SetVariable, tmp_path: Path) -> None:
    variable("JOBS_CONFIG", str(tmp_path / "none.toml"))

    with pytest.raises(SettingsError, match=r"JOBS_CONFIG: cannot read .*none\.toml"):
        App(Registry(), Settings.load())


def test_a_configuration_that_is_a_folder_or_no_text_names_the_file(variable: SetVariable, tmp_path: Path) -> None:
    binary = tmp_path / "binary.toml"
    binary.write_bytes(b"\xff\xfe\x00")

    for file in (tmp_path, binary):
        with pytest.raises(SettingsError, match=f"JOBS_CONFIG: cannot read .*{file.name}"):
            App(Registry(), Settings.load(jobs_config=file))
