"""Deciding: whether a job is one that a filter wants, by what a screen shows of it."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from jobqueue import ties, wire
from jobqueue.handler import Handler
from jobqueue.inspector.reading import Reader, masker_for
from jobqueue.inspector.stored import clean
from jobqueue.inspector.views import JobFilter
from jobqueue.job import Envelope
from jobqueue.masking import may_have_secret_names

_WORD = re.compile(r"\w+")
_FIELDS = ("name", "data", "failedReason")


class Decider:
    """Decides for one filter.

    What is masked takes part in nothing that can be told from outside: neither in what is found nor in how many jobs
    were examined, or in how long that took. So of a job without anything to hide the stored text is compared first,
    which is quick, and one that may hide something is always examined as it is shown.
    """

    def __init__(self, reader: Reader, wanted: JobFilter) -> None:
        self._reader = reader
        self._wanted = wanted
        self._needle = (wanted.text or "").lower()
        self._words = _WORD.findall(self._needle)
        self._asks_envelope = any(one is not None for one in (wanted.related, wanted.created_by, wanted.order_key))
        self.examined = 0

    def wants(self, job_id: str, stored: Sequence[str | None]) -> bool:
        """`stored` are the job's name, data and the reason of its failure."""
        fields = {name: clean(text) for name, text in zip(_FIELDS, stored, strict=True) if text is not None}
        handler = self._reader.handler(fields)
        if not self._may_show(job_id, fields, handler):
            return False
        self.examined += 1
        try:
            envelope = wire.decode_data(fields.get("data") or "{}")
        except ValueError:
            return not self._asks_envelope and self._is_in(_shown_raw(job_id, fields, handler))
        if self._asks_envelope and not self._is_about(envelope, handler):
            return False
        payload = masker_for(handler).payload(envelope.payload)
        return self._wanted.text is None or self._is_in(self._shown(job_id, fields, payload))

    def _may_show(self, job_id: str, fields: Mapping[str, str], handler: Handler[Any] | None) -> bool:
        """The stored text decides only where nothing of it is hidden, and no letter of it is written in code."""
        if (handler is not None and handler.has_secrets) or may_have_secret_names(fields.get("data", "")):
            return True
        text = "\n".join([job_id, *fields.values()]).lower()
        return all(word in text for word in self._words)

    def _is_about(self, envelope: Envelope, handler: Handler[Any] | None) -> bool:
        wanted = self._wanted
        return (
            (wanted.related is None or envelope.related == wanted.related)
            and (wanted.created_by is None or envelope.created_by == wanted.created_by)
            and (wanted.order_key is None or wanted.order_key in _order_keys(envelope, handler))
        )

    def _shown(self, job_id: str, fields: Mapping[str, str], payload: object) -> Iterator[str]:
        yield from (clean(job_id), fields.get("name", ""), fields.get("failedReason", ""))
        yield json.dumps(payload, ensure_ascii=False, separators=(",", ":"))
        if any(letter.isspace() for letter in self._needle):
            yield json.dumps(payload, ensure_ascii=False, indent=2)

    def _is_in(self, texts: Iterable[str]) -> bool:
        return any(self._needle in text.lower() for text in texts)


def _shown_raw(job_id: str, fields: Mapping[str, str], handler: Handler[Any] | None) -> Iterator[str]:
    yield from (clean(job_id), fields.get("name", ""), fields.get("failedReason", ""))
    yield masker_for(handler).raw(fields.get("data", ""))


def _order_keys(envelope: Envelope, handler: Handler[Any] | None) -> tuple[str | None, ...]:
    """The keys of the orders that a job stands in, by the names that their gates have."""
    key = envelope.order_key
    if handler is not None:
        key = ties.order_key_of(handler, key, envelope.related)
    return (key, f"cron:{envelope.id}") if envelope.overlap == "queue" else (key,)
