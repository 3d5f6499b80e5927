"""Options: how a variant is made from an image, and the text by which it is known."""

from __future__ import annotations

from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

MAX_SIDE_PX: Final = 10_000

Side = Annotated[int, Field(ge=1, le=MAX_SIDE_PX)]
ImageFormat = Literal["jpeg", "png", "webp"]


class ImageOptions(BaseModel):
    """The box that the image is to fit in, and its format. Units: pixels; `quality` 1 to 100, of no meaning for PNG.

    A side that is not given does not bound it. Nothing is ever made larger than it is.
    """

    model_config = ConfigDict(
        frozen=True, extra="forbid", alias_generator=to_camel, populate_by_name=True, serialize_by_alias=True
    )

    width: Side | None = None
    height: Side | None = None
    format: ImageFormat = "webp"
    quality: Annotated[int, Field(ge=1, le=100)] = 80

    @property
    def variant(self) -> str:
        """The same for options that make the same image: "300x.webp.q80"."""
        quality = "" if self.format == "png" else f".q{self.quality}"
        return f"{self.width or ''}x{self.height or ''}.{self.format}{quality}"

    @property
    def content_type(self) -> str:
        return f"image/{self.format}"

    @property
    def suffix(self) -> str:
        return ".jpg" if self.format == "jpeg" else f".{self.format}"
