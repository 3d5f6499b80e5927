"""Environment: the settings of a command, and the app that it works with."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from jobqueue import migrations
from jobqueue.app import App
from jobqueue.cli import folder
from jobqueue.cli.console import note
from jobqueue.cli.places import place_of
from jobqueue.errors import SettingsError
from jobqueue.registry import Registry, load_registry
from jobqueue.settings import Settings

DECISIVE = ("environment", "redis_url", "database_url")
"""Where one of these is set here to something else, a dev server's settings are none of this command's business."""

_PACKAGES = Path(migrations.FOLDER).parent.parent
MIGRATIONS = tuple(_PACKAGES / place / "migrations" for place in ("jobqueue/cron", "jobqueue/outbox", "handlers"))
"""By their place and not by import: a service's own `handlers` comes first on sys.path, and cron loads the ORM."""


def load_settings(**overrides: object) -> Settings:
    """The environment; what it leaves open comes from the dev server that runs in the current folder, if any.

    Raises: SettingsError.
    """
    settings, is_shared = _found(overrides)
    if is_shared and sys.stderr.isatty():
        note(f"using the dev server of this folder ({folder.NAME}/env)")
    return settings


def find_settings(**overrides: object) -> Settings:
    """The same, and nothing is said. Raises: SettingsError."""
    return _found(overrides)[0]


def _found(overrides: Mapping[str, object]) -> tuple[Settings, bool]:
    """The settings, and whether some of them are the dev server's."""
    given = {name: value for name, value in overrides.items() if value is not None}
    settings = Settings.load(**given)
    shared = {name.lower(): value for name, value in folder.current().read_shared().items()}
    present = settings.model_fields_set
    if not shared or any(getattr(settings, name) != shared[name] for name in DECISIVE if name in present):
        return settings, False
    return Settings.load(**{name: value for name, value in shared.items() if name not in present} | given), True


def registry_of(settings: Settings) -> Registry:
    """The registry that JOBS_REGISTRY names; the current folder comes first.

    Raises: SettingsError, with file and line where the code of the registry is at fault.
    """
    here = Path.cwd()
    if sys.path[:1] != [str(here)]:
        sys.path.insert(0, str(here))
    try:
        return load_registry(settings.jobs_registry)
    except SettingsError as error:
        place = place_of(error.__cause__, here)
        if place is None:
            raise
        raise SettingsError(error.setting, f"{error.problem} ({place})") from error.__cause__


def open_app(settings: Settings) -> App:
    """An app with the service's handlers. Raises: SettingsError."""
    return App(registry_of(settings), settings)
