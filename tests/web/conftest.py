"""The environment in which a service starts: this test's Redis, prefix and database."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeAlias

import pytest

from tests.conftest import MakeSettings

Environment: TypeAlias = Callable[..., Mapping[str, str]]


@pytest.fixture
def environment(settings: MakeSettings, monkeypatch: pytest.MonkeyPatch) -> Environment:
    """Sets the variables of this test, and returns them; `changes`, by field name, win."""

    def set_variables(**changes: object) -> Mapping[str, str]:
        chosen = settings(**changes)
        fields = {"redis_url", "jobs_prefix", "database_url", *changes}
        variables = {field.upper(): str(getattr(chosen, field)) for field in sorted(fields)}
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        return variables

    return set_variables
