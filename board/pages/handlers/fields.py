"""Fields: what a form asks for one payload, as a tree of records. How a field is named in a form and in an error."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import quote

PAYLOAD: Final = "payload"

Kind: TypeAlias = Literal["text", "whole", "number", "yes or no", "choice", "json", "group"]
Path: TypeAlias = tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Choice:
    """One of the values that a field may have; `text` is what the form sends for it."""

    text: str
    value: Any


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a form, or a group of them. `path` is where its value lies in the payload, () for the payload.

    Invariant: `fields` is empty but for a group, `choices` but for a choice. `about` comes from the schema; `wanted`
    says what may be typed; `default`, as JSON, what holds where nothing is, None where nobody can tell. A nullable
    field that is required is null where it is left empty, any other is left out. A secret is hidden while it is typed.
    """

    path: Path
    kind: Kind
    label: str = ""
    about: str = ""
    wanted: str = ""
    default: str | None = None
    format: str = ""
    is_required: bool = False
    is_nullable: bool = False
    is_secret: bool = False
    choices: tuple[Choice, ...] = ()
    fields: tuple[Field, ...] = ()

    @property
    def name(self) -> str:
        """What the form calls it: payload.address.street. Invariant: of letters, digits and `_.-~%` only."""
        return ".".join((PAYLOAD, *(quote(key, safe="", errors="replace").replace(".", "%2E") for key in self.path)))

    @property
    def place(self) -> str:
        """What an error calls it. The keys stand as they are, so those with dots are ambiguous there."""
        return ".".join((PAYLOAD, *self.path))

    @property
    def key(self) -> str:
        return self.path[-1] if self.path else PAYLOAD

    @property
    def hint(self) -> str:
        """What may be typed, and what holds where nothing is, as a sentence."""
        default = "" if self.default in (None, "null") else f"left out, it is {self.default}"
        if self.is_required and self.is_nullable and self.path and self.kind != "group":
            default = "null where it is left empty"
        words = "; ".join(part for part in (self.wanted, default) if part)
        return f"{words[0].upper()}{words[1:]}." if words else ""

    def walk(self) -> Iterator[Field]:
        """The field and all that are in it."""
        yield self
        for inner in self.fields:
            yield from inner.walk()


AS_JSON: Final = Field((), "json", label="Payload", is_nullable=True, wanted="JSON")
"""The form of a payload that is written as JSON, whatever its type."""
