"""Schemas: what a handler takes, as a JSON schema fit to be shown."""

from __future__ import annotations

from typing import Any, Final

from jobqueue.encoding import as_array, as_object
from jobqueue.masking import MASK, is_secret_name, mask

_SAID: Final = frozenset({"default", "examples"})
_VALUES: Final = frozenset({*_SAID, "enum", "const"})
_BY_NAME: Final = frozenset({"properties", "patternProperties"})


def shown_schema(schema: Any) -> Any:
    """A schema without the values of its secrets: its other parts hold no values of anybody's."""
    return _shown(schema, is_secret=False)


def _shown(schema: Any, *, is_secret: bool) -> Any:
    """`is_secret` below a name that says so, at any depth."""
    if isinstance(schema, list):
        return [_shown(one, is_secret=is_secret) for one in as_array(schema)]
    if not isinstance(schema, dict):
        return schema
    shown: dict[str, Any] = {}
    hides = is_secret or as_object(schema).get("format") == "password"
    for name, inner in as_object(schema).items():
        if name in _VALUES and hides:
            shown[name] = [MASK] if isinstance(inner, list) and name != "default" else MASK
        elif name in _SAID:
            shown[name] = mask(inner)
        elif name in _BY_NAME:
            properties = as_object(inner).items()
            shown[name] = {key: _shown(one, is_secret=is_secret or is_secret_name(key)) for key, one in properties}
        else:
            shown[name] = _shown(inner, is_secret=is_secret)
    return shown
