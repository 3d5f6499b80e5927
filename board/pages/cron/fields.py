"""Cron fields: the fields of a cron job as a form has them, which is texts, and back. Pure functions."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

from pydantic_core import from_json
from starlette.datastructures import FormData

from board.pages.forms import text_of
from jobqueue.cron import CronFields, CronJob
from jobqueue.cron.checking import DEFAULTS, FIELDS, check, fields_of
from jobqueue.cron.masked import masked_payload
from jobqueue.enqueue import Enqueuer
from jobqueue.errors import InvalidCronJob
from jobqueue.registry import Registry

ON: Final = "yes"
"""What a ticked box sends; one that is not ticked sends nothing."""

_NUMBERS: Final = ("priority", "max_attempts", "backoff_ms")
_MAY_BE_LEFT_OUT: Final = frozenset(FIELDS) - {"name", "pattern", "handler", "enabled"}
"""Of a new cron job: what is empty has its default."""
_NUMBER: Final = re.compile(r"-?[0-9]{1,20}", re.ASCII)

Texts = Mapping[str, str]
"""Every field of FIELDS as a form shows it."""


def new_texts() -> Texts:
    """What an empty form shows."""
    return {name: _text(name, cast(Mapping[str, Any], DEFAULTS).get(name)) for name in FIELDS}


def texts_of_row(row: CronJob, registry: Registry) -> Texts:
    """What the form of a row shows. Its secrets are masked."""
    shown = {**fields_of(row), "payload": masked_payload(row, registry)}
    return {name: _text(name, value) for name, value in shown.items()}


def texts_of_form(form: FormData) -> Texts:
    """What was typed. A browser ends lines with CR LF."""
    return {name: text_of(form, name).replace("\r\n", "\n") for name in FIELDS}


@dataclass(frozen=True, slots=True)
class Given:
    """What texts say. Whether that is right is checked when it is saved; `faults` has what could not even be read."""

    fields: CronFields
    faults: Mapping[str, str]

    def all_faults(self, before: CronFields, enqueuer: Enqueuer) -> dict[str, str]:
        """Those, and what would be refused of the other fields of a cron job that is `before` now."""
        values = cast(CronFields, {"payload": None, **before, **self.fields})
        try:
            check(values, enqueuer, tuple(self.fields))
        except InvalidCronJob as error:
            others = {name: fault for name, fault in error.field_errors.items() if name.partition(".")[0] != "payload"}
            return {**others, **self.faults}
        return dict(self.faults)


def given_fields(texts: Texts) -> Given:
    """The fields of a new cron job."""
    return _read({name: text for name, text in texts.items() if text or name not in _MAY_BE_LEFT_OUT})


def changed_fields(texts: Texts, shown: Texts, *, takes_payload: bool) -> Given:
    """Those fields that were typed over, so that nobody else's change is undone, and what cannot be shown stays.

    `takes_payload` says what an emptied payload means: an empty object, or none.
    """
    changed = {name: text for name, text in texts.items() if text != _as_sent(shown[name])}
    if changed.get("payload") == "":
        changed["payload"] = "{}" if takes_payload else "null"
    return _read(changed)


def conflicts(texts: Texts, shown: Texts) -> Mapping[str, str]:
    """What a row has now, where it is not what was typed."""
    return {name: shown[name] for name, text in texts.items() if text != _as_sent(shown[name])}


def _as_sent(text: str) -> str:
    return text.strip().replace("\r\n", "\n")


def _text(name: str, value: object) -> str:
    if name == "enabled":
        return ON if value else ""
    if name == "payload":
        return "" if value is None else json.dumps(value, indent=2, ensure_ascii=False)
    return "" if value is None else str(value)


def _read(texts: Texts) -> Given:
    values: dict[str, object] = {}
    faults: dict[str, str] = {}
    for name, text in texts.items():
        try:
            values[name] = _value(name, text)
        except ValueError as error:
            faults[name] = f"is not JSON: {error}"
    return Given(cast(CronFields, values), faults)


def _value(name: str, text: str) -> object:
    """Raises: ValueError for a payload that is no JSON."""
    if name == "enabled":
        return text == ON
    if name == "description":
        return text or None
    if name in _NUMBERS:
        return int(text) if _NUMBER.fullmatch(text) else text
    return from_json(text, allow_inf_nan=False) if name == "payload" else text
