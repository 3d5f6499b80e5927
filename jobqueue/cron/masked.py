"""Masked: the payload of a cron job as people see it, and what becomes of it when it comes back."""

from __future__ import annotations

from typing import Any, Final

from jobqueue.cron.checking import CronFields
from jobqueue.cron.table import CronJob
from jobqueue.errors import InvalidCronJob
from jobqueue.masking import HIDDEN, PLAIN, Masker, masker_of
from jobqueue.registry import Registry
from jobqueue.unmasking import unmask

_STANDS_FOR_NOTHING: Final = "is masked, and there is no stored value that it could stand for; give the value"
_WOULD_SHOW: Final = "would show what is hidden now; give the whole payload anew"


def masked_payload(row: CronJob, registry: Registry) -> Any:
    """The payload as it may be shown. That of a handler which is not known here is hidden whole: nobody can tell where
    its secrets are.
    """
    return _masker(registry, row.handler).payload(row.payload)


def unmasked_new(fields: CronFields) -> CronFields:
    """The fields of a new cron job as they are. Raises: InvalidCronJob for a mask: nothing is stored that it hides."""
    return _with_payload(fields, None, PLAIN, PLAIN)


def unmasked_change(row: CronJob, changes: CronFields, registry: Registry) -> CronFields:
    """The changes, with the row's secrets wherever its payload came back with their masks.

    A row that moves to another handler takes its payload along, as if that had come back as it was shown: where the
    other's payload type does not hide a secret, whoever looks next would see it.
    Raises: InvalidCronJob for a mask that stands for no secret, and where a secret would come to light.
    """
    if not {"payload", "handler"}.intersection(changes):
        return changes
    before, after = _masker(registry, row.handler), _masker(registry, changes.get("handler", row.handler))
    as_shown: CronFields = {"payload": before.payload(row.payload), **changes}
    unmasked = _with_payload(as_shown, row, before, after)
    return unmasked if "payload" in changes else changes


def _with_payload(fields: CronFields, row: CronJob | None, before: Masker, after: Masker) -> CronFields:
    """Raises: InvalidCronJob."""
    if "payload" not in fields:
        return fields
    payload = unmask(fields["payload"], None if row is None else row.payload, before, after)
    if payload.left:
        raise InvalidCronJob({".".join(("payload", *path)): _STANDS_FOR_NOTHING for path in payload.left})
    if payload.reveals:
        raise InvalidCronJob({"payload": _WOULD_SHOW})
    return {**fields, "payload": payload.value}


def _masker(registry: Registry, handler_name: object) -> Masker:
    handler = registry.find(handler_name) if isinstance(handler_name, str) else None
    return HIDDEN if handler is None else masker_of(handler.payload)
