"""Enqueue form: a payload and options as a person fills them in, from the first look to the job that is asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, Final, TypeAlias

from pydantic import PydanticUserError
from starlette.datastructures import FormData

from board.pages.handlers.fields import AS_JSON, PAYLOAD, Field
from board.pages.handlers.form_values import Faults, Typed, placed, read_payload, spelled, typed_of
from board.pages.handlers.option_fields import OPTION_NAMES, OPTIONS, fault_of, read_options
from board.pages.handlers.schema_form import Schema, field_of
from jobqueue.encoding import encode_json
from jobqueue.errors import DuplicateJob, InvalidOption, InvalidPayload, PayloadTooLarge
from jobqueue.handler import Handler
from jobqueue.job import EnqueueOptions
from jobqueue.masking import MASK

AS: Final = "as"
"""The field that says how the payload is written: as a "form" or as "json"."""
SHOW: Final = "show"
"""The button that enqueues nothing: it asks for the other way to write the payload."""

LONGEST_LINE: Final = 200

_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")

Refusal: TypeAlias = InvalidPayload | InvalidOption | PayloadTooLarge | DuplicateJob


@dataclass(frozen=True, slots=True)
class EnqueueForm:
    """A form as it is shown.

    `root` is what it asks for, None for a handler that takes no payload; `in_fields` what the schema asks for, where
    that is more than JSON. `in_the_way` is the job that the one asked for is a duplicate of.
    """

    root: Field | None
    in_fields: Field | None
    typed: Typed = field(default_factory=dict[str, str])
    faults: Faults = field(default_factory=dict[str, str])
    in_the_way: str | None = None
    status: int = 200

    @property
    def is_json(self) -> bool:
        return self.root is not None and self.root is not self.in_fields

    @property
    def asks_options(self) -> bool:
        """True where an option was typed or is wrong, so that they must be seen."""
        return any(self.typed.get(name) or name in self.faults for name in OPTION_NAMES)

    def is_long(self, one: Field) -> bool:
        """True where a line would not do: it loses the ends of lines that are in what was typed."""
        typed = self.typed.get(one.name, "")
        return one.kind == "json" or "\n" in typed or len(typed) > LONGEST_LINE

    def input_type(self, one: Field) -> str:
        """The type of a line. A browser shows nothing in place of what is no date, so that stays text."""
        typed = self.typed.get(one.name, "")
        if one.is_secret:
            return "password"
        return "date" if one.format == "date" and (not typed or _DATE.fullmatch(typed)) else "text"

    @property
    def summary(self) -> tuple[tuple[str | None, str, str], ...]:
        """Every fault, in the order of the fields: the name of its field, None without one; its label; the fault."""
        fields = () if self.root is None else self.root.walk()
        labels = {one.name: one.label for one in fields} | {option.name: option.label for option in OPTIONS}
        places = {name: place for place, name in enumerate(labels)}
        faults = sorted(self.faults.items(), key=lambda pair: places.get(pair[0], len(places)))
        return tuple((name if name in labels else None, labels.get(name, name), fault) for name, fault in faults)


@dataclass(frozen=True, slots=True)
class Wanted:
    """The job that a form asks for."""

    payload: Any
    options: EnqueueOptions


@lru_cache(maxsize=1024)
def fields_of(handler: Handler[Any]) -> Field | None:
    """The form of a handler's payload: JSON where its type cannot be described; None where it takes none."""
    schema = schema_of(handler)
    if handler.payload is None:
        return None
    return AS_JSON if schema is None else field_of(schema)


@lru_cache(maxsize=1024)
def schema_of(handler: Handler[Any]) -> Schema | None:
    """None for a handler without payload, and for a type that JSON Schema cannot describe."""
    if handler.payload is None:
        return None
    try:
        return handler.payload.json_schema(by_alias=True)
    except PydanticUserError:
        return None


def empty_form(handler: Handler[Any] | None) -> EnqueueForm:
    """The form of a handler; of one that is not known here it is JSON."""
    fields = AS_JSON if handler is None else fields_of(handler)
    return EnqueueForm(fields, _more_than_json(fields))


def filled_form(handler: Handler[Any] | None, payload: Any) -> EnqueueForm:
    """A form that says this payload, in fields where they can say it, else in JSON."""
    form = empty_form(handler)
    if form.root is None:
        return form
    typed = typed_of(form.root, payload)
    if typed is None:
        return replace(form, root=AS_JSON, typed={PAYLOAD: spelled(payload)})
    return replace(form, typed=typed)


def sent_form(handler: Handler[Any] | None, sent: FormData) -> EnqueueForm:
    """The form as it came back. What it does not ask for, and what was sent twice, is a fault."""
    form = empty_form(handler)
    if sent.get(AS) == "json" and form.in_fields is not None:
        form = replace(form, root=AS_JSON)
    known = OPTION_NAMES | _names(form)
    typed: dict[str, str] = {}
    faults: dict[str, str] = {}
    for name, value in sent.multi_items():
        if name in (AS, SHOW) or not isinstance(value, str):
            continue
        if name in typed:
            faults[name] = "was sent twice"
        elif name not in known:
            faults[name] = "is no field of this form; it may have changed since it was shown"
        typed[name] = value.replace("\r\n", "\n")
    return replace(form, typed=typed, faults=faults)


def switched(form: EnqueueForm) -> EnqueueForm:
    """The same, written the other way; with a fault where it cannot be said there, or is not good as it stands."""
    options = {name: text for name, text in form.typed.items() if name in OPTION_NAMES}
    read = _read(form)
    if read.faults or form.root is None:
        return replace(form, faults=read.faults)
    if not form.is_json:
        return replace(form, root=AS_JSON, typed={PAYLOAD: spelled(read.payload), **options})
    typed = None if form.in_fields is None else typed_of(form.in_fields, read.payload)
    if typed is None:
        return replace(
            form, faults={PAYLOAD: "the fields cannot say this: it has more, or something else, than they ask"}
        )
    return replace(form, root=form.in_fields, typed={**typed, **options})


def wanted_of(form: EnqueueForm, handler: Handler[Any] | None) -> Wanted | EnqueueForm:
    """The job that is asked for, or the form with all that is wrong with it."""
    payload, asked = _read(form), read_options(form.typed)
    faults = {**payload.faults, **asked.faults}
    if faults:
        return replace(form, faults={**_refused_by(handler, form, payload.payload), **faults}, status=400)
    return Wanted(payload.payload, asked.options)


def _refused_by(handler: Handler[Any] | None, form: EnqueueForm, payload: Any) -> Faults:
    """What the handler would say of a payload beside what is wrong already, so that a person sees all of it at once.

    A mask stands for what is stored, so what the handler says of the mask itself is no fault.
    """
    if handler is None:
        return {}
    try:
        handler.validate_json(encode_json(payload))
    except InvalidPayload as error:
        faults = placed(error.field_errors, form.root)
        return {name: fault for name, fault in faults.items() if form.typed.get(name) != MASK}
    return {}


def refused(form: EnqueueForm, error: Refusal) -> EnqueueForm:
    """The form with what the handler, or the queue, said of the job."""
    match error:
        case InvalidPayload():
            return replace(form, faults=placed(error.field_errors, form.root), status=400)
        case InvalidOption():
            return replace(form, faults=fault_of(error), status=400)
        case PayloadTooLarge():
            return replace(form, faults={PAYLOAD: error.problem}, status=413)
        case DuplicateJob():
            return replace(form, in_the_way=error.job_id, status=409)


@dataclass(frozen=True, slots=True)
class _Payload:
    payload: Any
    faults: Faults


def _read(form: EnqueueForm) -> _Payload:
    """What the form says, with the faults that it came with."""
    if form.root is None:
        return _Payload(None, form.faults)
    read = read_payload(form.root, form.typed)
    return _Payload(read.payload, {**form.faults, **read.faults})


def _names(form: EnqueueForm) -> frozenset[str]:
    """The fields of the payload that something can be typed into."""
    return frozenset(() if form.root is None else (one.name for one in form.root.walk() if one.kind != "group"))


def _more_than_json(fields: Field | None) -> Field | None:
    return None if fields is None or fields.kind == "json" else fields
