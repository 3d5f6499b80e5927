"""Data: a job's data as JSON, our envelope with the payload in it, and that of foreign producers."""

from __future__ import annotations

from typing import Any, TypeVar, cast, get_args

from jobqueue import encoding
from jobqueue.job import MAX_NAME_LENGTH, MAX_ORDER_KEY_LENGTH, Envelope, JobType, Related, is_plain_text

_TYPES = frozenset(get_args(JobType))
_BARE_DATA = '{"type":"adhoc","payload":'
_BARE = Envelope(None)


def encode_data(payload_json: str, envelope: Envelope) -> str:
    """The job's data; `envelope.payload` is passed over in favour of its JSON."""
    if envelope == _BARE:
        return f"{_BARE_DATA}{payload_json}}}"
    beside = {
        "id": envelope.id,
        "dedupeKey": envelope.dedupe_key,
        "createdBy": envelope.created_by,
        "related": None if envelope.related is None else envelope.related._asdict(),
        "orderKey": envelope.order_key,
        "timeoutMs": envelope.timeout_ms,
        "expiresAt": envelope.expires_at_ms,
        "overlap": envelope.overlap,
        "misfire": envelope.misfire,
    }
    more = "".join(f',"{name}":{encoding.encode_json(value)}' for name, value in beside.items() if value is not None)
    return f'{{"type":"{envelope.type}","payload":{payload_json}{more}}}'


def decode_data(text: str) -> Envelope:
    """Our envelope, where what is malformed beside the payload counts as absent; data of a foreign producer is the
    payload itself. Raises: ValueError.
    """
    data = encoding.decode_json(text)
    fields = encoding.as_object(data)
    kind = fields.get("type")
    if not isinstance(kind, str) or kind not in _TYPES:
        return Envelope(data)
    if len(fields) == 2 and "payload" in fields:
        return Envelope(fields["payload"], cast(JobType, kind))
    return Envelope(
        payload=fields.get("payload"),
        type=cast(JobType, kind),
        id=_text_or_none(fields.get("id")),
        dedupe_key=_text_or_none(fields.get("dedupeKey")),
        created_by=_text_or_none(fields.get("createdBy")),
        timeout_ms=_positive_or_none(fields.get("timeoutMs")),
        related=_related_or_none(fields.get("related")),
        order_key=_name_or_none(fields.get("orderKey"), MAX_ORDER_KEY_LENGTH),
        expires_at_ms=_positive_or_none(fields.get("expiresAt")),
        overlap=_one_of(fields.get("overlap"), "skip", "queue"),
        misfire=_one_of(fields.get("misfire"), "skip"),
    )


def payload_json(text: str, envelope: Envelope) -> str:
    """The payload in the data that `envelope` was read from, as JSON: cut out, where nothing else stands beside it."""
    if text.startswith(_BARE_DATA):
        cut = text[len(_BARE_DATA) : -1]
        if encoding.is_json(cut):
            return cut
    return encoding.encode_json(envelope.payload)


def _text_or_none(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _name_or_none(value: Any, most: int = MAX_NAME_LENGTH) -> str | None:
    return value if is_plain_text(value, most) else None


_W = TypeVar("_W", bound=str)


def _one_of(value: Any, *words: _W) -> _W | None:
    return next((word for word in words if word == value), None)


def _positive_or_none(value: Any) -> int | None:
    number = encoding.as_whole(value)
    return number if number is not None and number > 0 else None


def _related_or_none(value: Any) -> Related | None:
    """None also where one of its halves cannot be used: half an object is none."""
    fields = encoding.as_object(value)
    kind, identity = _name_or_none(fields.get("type")), _name_or_none(fields.get("id"))
    return None if kind is None or identity is None else Related(kind, identity)
