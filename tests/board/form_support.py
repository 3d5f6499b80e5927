"""What the tests of forms share: payload types of every kind, handlers for them, and a page's fields as a browser has
them."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from enum import Enum
from html.parser import HTMLParser
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import AnyUrl, BaseModel, ConfigDict, Field, SecretStr, TypeAdapter

from board.pages.handlers import fields
from board.pages.handlers.schema_form import field_of
from jobqueue.context import JobContext
from jobqueue.registry import Registry
from jobqueue.wrappers import make_job

MARKUP = "<script>alert(1)</script>\"'><img src=x onerror=alert(1)>"


class Size(Enum):
    SMALL = "small"
    LARGE = "large"


class Address(BaseModel):
    """Where it goes."""

    street: str
    floor: int | None = None


class Cat(BaseModel):
    kind: Literal["cat"]


class Dog(BaseModel):
    kind: Literal["dog"]


class Tree(BaseModel):
    """A type in itself."""

    name: str
    left: Tree | None = None
    children: list[Tree] = []


class Parcel(BaseModel):
    """A parcel, with a field of every kind."""

    customer: str = Field(min_length=1, max_length=20, description="Who gets it")
    pieces: int = Field(ge=1, lt=100)
    weight_kg: float | None = None
    price: Decimal | None = None
    size: Size = Size.SMALL
    speed: Literal["slow", "fast", 3] | None = None
    is_gift: bool
    is_fragile: bool | None = None
    sent_at: datetime | None = None
    due: date | None = None
    link: AnyUrl | None = None
    order: UUID | None = None
    address: Address
    back_to: Address | None = None
    labels: list[str] = Field(default=["new"], max_length=3)
    notes: Mapping[str, int] | None = None
    pet: Annotated[Cat | Dog, Field(discriminator="kind")] | None = None
    pin: SecretStr | None = None
    api_key: str = "sesame"
    nothing: int | None


class Odd(BaseModel):
    """Keys that mean something elsewhere."""

    model_config = ConfigDict(populate_by_name=True)

    dotted: str = Field("", alias="a.b")
    bracketed: str = Field("", alias="x[0]['y']")
    empty: str = Field("", alias="")
    proto: str = Field("", alias="__proto__")
    markup: str = Field(
        "", alias="<script>alert(1)</script>\"'><img src=x onerror=alert(1)>", title=MARKUP, description=MARKUP
    )
    choice: Literal["plain", "</option><script>alert(1)</script>"] = "plain"


@make_job(name="sendParcel", attempts=5, duplicates="reject")
async def send_parcel(ctx: JobContext, payload: Parcel) -> None:
    """Sends a parcel.

    By the first van.
    """


@make_job(name="odd")
async def odd(ctx: JobContext, payload: Odd) -> None:
    """Never run here: the board only looks."""


@make_job(name="grow")
async def grow(ctx: JobContext, payload: Tree) -> None:
    """Never run here: the board only looks."""


@make_job(name="many")
async def many(ctx: JobContext, payload: list[int]) -> None:
    """Never run here: the board only looks."""


@make_job(name="ping")
async def ping(ctx: JobContext) -> None:
    """Takes no payload."""


FORMS = Registry([send_parcel, odd, grow, many, ping])

GOOD = {
    "payload.customer": "Ann",
    "payload.pieces": "2",
    "payload.is_gift": "true",
    "payload.address.street": "High Street 1",
}
"""What is typed for a parcel, and no more than must be."""

SENT: Mapping[str, object] = {
    "customer": "Ann",
    "pieces": 2,
    "is_gift": True,
    "address": {"street": "High Street 1"},
    "nothing": None,
}
"""The payload that this is."""


def form_of(kind: Any) -> fields.Field:
    """The form of a payload type."""
    return field_of(TypeAdapter[Any](kind).json_schema(by_alias=True))


def named(root: fields.Field, name: str) -> fields.Field:
    return next(one for one in root.walk() if one.name == name)


class _Fields(HTMLParser):
    """Reads what a browser would send."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.found: dict[str, str] = {}
        self._select: str | None = None
        self._area: str | None = None

    def handle_starttag(self, tag: str, attrs: Sequence[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        if tag == "input" and given.get("name"):
            self.found[given["name"]] = given.get("value", "")
        if tag == "select":
            self._select = given["name"]
            self.found[self._select] = ""
        if tag == "option" and self._select and "selected" in given:
            self.found[self._select] = given["value"]
        if tag == "textarea":
            self._area = given["name"]
            self.found[self._area] = ""

    def handle_data(self, data: str) -> None:
        if self._area is not None:
            self.found[self._area] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea" and self._area is not None:
            # Source: HTML, which drops the end of a line that comes first; and what a form sends for the others.
            self.found[self._area] = self.found[self._area].removeprefix("\n").replace("\n", "\r\n")
            self._area = None
        if tag == "select":
            self._select = None


def fields_of(page: str) -> dict[str, str]:
    """The fields of the page's form, as a browser would send them unchanged."""
    parser = _Fields()
    start = page.index('class="card enqueue"')
    parser.feed(page[page.rindex("<form", 0, start) : page.index("</form>", start)])
    return parser.found


def fault_at(page: str, name: str) -> str | None:
    """What the page says below a field."""
    found = re.search(rf'id="about-{re.escape(name)}">\s*<p class="fault">(?:<svg.*?</svg>)?(.*?)</p>', page, re.DOTALL)
    return found[1] if found else None
