"""Settings: the only reader of the environment."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Annotated, Any, Final, Literal, Self, cast

from pydantic import BeforeValidator, Field, SecretStr, ValidationError, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from jobqueue.errors import SettingsError
from jobqueue.job import QUEUE_NAME

DEFAULT_REDIS_URL = "redis://127.0.0.1:6379/0"
DEFAULT_DATABASE_URL = "sqlite+aiosqlite:///jobqueue.db"


Name = Annotated[str, Field(pattern=f"^{QUEUE_NAME}$")]
Prefix = Annotated[str, Field(min_length=1, max_length=200, pattern=r"^[^\x00-\x1f\x7f]+$")]
Hostname = Annotated[str, Field(max_length=253, pattern=r"^[a-z0-9]([a-z0-9.-]*[a-z0-9])?$")]

_PAIRS: Final = (
    ("bull_board_username", "bull_board_password"),
    ("files_s3_access_key_id", "files_s3_secret_access_key"),
)


class Settings(BaseSettings):
    """Everything that the environment decides, read once.

    An environment variable has the name of its field in capitals. An empty value counts as not set.
    Units: `_ms` milliseconds, `_bytes` bytes.
    """

    model_config = SettingsConfigDict(frozen=True, extra="ignore", env_ignore_empty=True, hide_input_in_errors=True)

    environment: str | None = None
    log_level: Annotated[Literal["debug", "info", "warning", "error"], BeforeValidator(str.lower)] = "info"

    redis_url: str = Field(DEFAULT_REDIS_URL, repr=False)
    redis_connect_ms: int = Field(1_000, ge=1)
    redis_call_ms: int = Field(5_000, ge=1)
    database_url: str = Field(DEFAULT_DATABASE_URL, repr=False)

    jobs_queue: Name = "jobs"
    jobs_prefix: Prefix = "bull"
    jobs_registry: str = Field("handlers:registry", pattern=r"^[\w.]+:\w+$")
    jobs_config: Path | None = None
    jobs_max_payload_bytes: int = Field(1024 * 1024, ge=1)
    jobs_max_result_bytes: int = Field(5 * 1024 * 1024, ge=1)
    jobs_max_queue_depth: int = Field(10_000, ge=1, le=1_000_000_000)

    worker_concurrency: int = Field(10, ge=1, le=10_000)
    worker_lock_ms: int = Field(300_000, ge=1_000)
    worker_stalled_ms: int = Field(30_000, ge=100)
    worker_timeout_ms: int | None = Field(None, ge=1)
    worker_shutdown_ms: int = Field(30_000, ge=0)
    worker_metrics: bool = False

    bull_board_username: str | None = None
    bull_board_password: SecretStr | None = None
    bull_board_path: str = Field("/bullBoard", pattern=r"^(/[A-Za-z0-9._~-]+)+$")
    bull_board_read_only: bool = False
    admin_api_token: SecretStr | None = None

    webhook_signing_private_key: SecretStr | None = None

    files_url: str | None = None
    files_s3_endpoint: Annotated[str, Field(pattern=r"^https?://[^\s@]+$")] | None = None
    files_s3_region: str = "us-east-1"
    files_s3_access_key_id: str | None = None
    files_s3_secret_access_key: SecretStr | None = None

    service_hostname: Hostname | None = None
    profiles_folder: Path | None = None

    @model_validator(mode="before")
    @classmethod
    def _empty_counts_as_not_set(cls, values: Any) -> Any:
        given = cast(dict[str, Any], values)
        return {name: value for name, value in given.items() if value != ""}

    @model_validator(mode="after")
    def _credentials_come_in_pairs(self) -> Self:
        for one, other in _PAIRS:
            missing = [name for name in (one, other) if getattr(self, name) is None]
            if len(missing) == 1:
                raise SettingsError(missing[0].upper(), "is not set, but its other half is; set both or neither")
        return self

    @property
    def is_local(self) -> bool:
        """True only where ENVIRONMENT says `local`; unset is not local."""
        return self.environment == "local"

    @property
    def has_overflow(self) -> bool:
        """True where DATABASE_URL is set: what a full queue has no room for is spilled to the table of the outbox."""
        return "database_url" in self.model_fields_set

    @classmethod
    def load(cls, **overrides: Any) -> Self:
        """Read the environment; `overrides` (by field name) win over it.

        Raises: SettingsError, naming the variable and what is wrong with it.
        """
        try:
            return cls(**overrides)
        except ValidationError as error:
            first = error.errors(include_url=False, include_input=False)[0]
            name = ".".join(str(part) for part in first["loc"][:1]).upper() or "settings"
            raise SettingsError(name, first["msg"]) from None

    def policy_overrides(self) -> PolicyOverrides:
        """What JOBS_CONFIG says about handlers; empty where it is not set.

        Raises: SettingsError, naming the file.
        """
        if self.jobs_config is None:
            return PolicyOverrides({}, {})
        try:
            document = tomllib.loads(self.jobs_config.read_text(encoding="utf-8"))
        except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
            raise SettingsError("JOBS_CONFIG", f"cannot read {self.jobs_config}: {error}") from error
        return PolicyOverrides.from_document(document)


class PolicyOverrides:
    """`[defaults]` for all handlers and `[handlers.NAME]` for one, merged field by field."""

    def __init__(self, defaults: dict[str, Any], by_handler: dict[str, dict[str, Any]]) -> None:
        self._defaults = defaults
        self._by_handler = by_handler

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        unknown = sorted(set(document) - {"defaults", "handlers"})
        if unknown:
            raise SettingsError("JOBS_CONFIG", f"unknown table [{unknown[0]}]; use [defaults] or [handlers.NAME]")
        defaults = _table("defaults", document.get("defaults", {}))
        handlers = _table("handlers", document.get("handlers", {}))
        return cls(defaults, {name: _table(f"handlers.{name}", table) for name, table in handlers.items()})

    @property
    def handler_names(self) -> frozenset[str]:
        return frozenset(self._by_handler)

    @property
    def defaults(self) -> dict[str, Any]:
        return self._defaults

    def for_handler(self, name: str) -> dict[str, Any]:
        """What the file says about the handler alone."""
        return self._by_handler.get(name, {})

    def merged(self, name: str) -> dict[str, Any]:
        """What holds for the handler: its own fields before the defaults."""
        return {**self._defaults, **self.for_handler(name)}


def _table(name: str, value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise SettingsError("JOBS_CONFIG", f"[{name}] must be a table, not {value!r:.100}")
    return cast(dict[str, Any], value)
