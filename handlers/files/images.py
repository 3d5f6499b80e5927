"""Images: bytes of a stranger's to a small image. Needs the extra `images`.

Only four formats are decoded, and none that would start another program; what an image claims to be is looked at
before its pixels are.
"""

from __future__ import annotations

import struct
from base64 import b64encode
from collections.abc import Generator
from contextlib import contextmanager
from io import BytesIO
from math import ceil
from typing import Final

from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from handlers.files.errors import BadImage
from handlers.files.options import ImageOptions

MAX_PIXELS: Final = 50_000_000
"""Of a PNG that many take some 200 MB while they are decoded."""
PLACEHOLDER_PX: Final = 10
PLACEHOLDER_QUALITY: Final = 40

_FORMATS: Final = ("JPEG", "PNG", "GIF", "WEBP")
_TURNED: Final = range(5, 9)
"""The orientations of EXIF whose width is the height of what is shown."""
_WHITE: Final = (255, 255, 255)


def placeholder_of(data: bytes) -> str:
    """A JPEG of 10 pixels on its longer side, as a data URI. Raises: BadImage."""
    image = _flat(_small_of(data, PLACEHOLDER_PX, PLACEHOLDER_PX))
    image.info.clear()
    jpeg = _saved(image, "jpeg", PLACEHOLDER_QUALITY)
    return f"data:image/jpeg;base64,{b64encode(jpeg).decode('ascii')}"


def transform(data: bytes, options: ImageOptions) -> bytes:
    """The image, fitted into the box and upright; of an animation its first picture.

    Where it was taken and with what (EXIF) is left out, its colour profile stays. Raises: BadImage.
    """
    image = _small_of(data, options.width, options.height)
    profile = None if image.mode == "CMYK" else image.info.get("icc_profile")
    if options.format == "jpeg" or image.mode == "CMYK":
        image = _flat(image)
    image.info.clear()
    return _saved(image, options.format, options.quality, profile)


def _small_of(data: bytes, width: int | None, height: int | None) -> Image.Image:
    with _blaming_the_image(), Image.open(BytesIO(data), formats=_FORMATS) as opened:
        if opened.width * opened.height > MAX_PIXELS:
            raise BadImage(f"has {opened.width} × {opened.height} pixels, more than {MAX_PIXELS}")
        if opened.getexif().get(ExifTags.Base.Orientation) in _TURNED:
            width, height = height, width
        size = _fitted(opened.size, width, height)
        image = _with_plain_pixels(opened)
        image.thumbnail(size, Image.Resampling.LANCZOS)
        return ImageOps.exif_transpose(image)


def _fitted(size: tuple[int, int], width: int | None, height: int | None) -> tuple[int, int]:
    """The size within the box, and not larger than it is; the decoder leaves out what is not needed for that."""
    scale = min((width or size[0]) / size[0], (height or size[1]) / size[1], 1)
    return ceil(size[0] * scale), ceil(size[1] * scale)


def _with_plain_pixels(image: Image.Image) -> Image.Image:
    """Palettes and the like cannot be resized smoothly. What needs no change may be decoded at a smaller size."""
    if image.mode != "RGBA" and image.has_transparency_data:
        return image.convert("RGBA")
    if image.mode.startswith("I"):  # 16 bits of grey, of which a conversion would cut off the upper ones
        return image.convert("I").point(_upper_byte).convert("L")
    return image if image.mode in ("L", "RGB", "RGBA", "CMYK") else image.convert("RGB")


def _upper_byte(grey: float) -> float:
    return grey * (1 / 256)


def _flat(image: Image.Image) -> Image.Image:
    """What JPEG can hold: on white where the image is transparent."""
    if image.mode != "RGBA":
        return image if image.mode in ("L", "RGB") else image.convert("RGB")
    ground = Image.new("RGB", image.size, _WHITE)
    ground.paste(image, mask=image.getchannel("A"))
    return ground


def _saved(image: Image.Image, format_name: str, quality: int, profile: bytes | None = None) -> bytes:
    saved = BytesIO()
    try:
        image.save(saved, format_name.upper(), quality=quality, icc_profile=profile)
    except (OSError, ValueError) as error:  # WebP has room for 16,383 pixels on a side
        raise BadImage(f"cannot be written as {format_name}: {error}") from error
    return saved.getvalue()


@contextmanager
def _blaming_the_image() -> Generator[None]:
    """Raises: BadImage for whatever a decoder says of what it was given."""
    try:
        yield
    except UnidentifiedImageError as error:
        raise BadImage("is no JPEG, PNG, GIF or WebP image") from error
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
        raise BadImage(f"has more than {MAX_PIXELS} pixels") from error
    except (OSError, SyntaxError, ValueError, LookupError, TypeError, EOFError, OverflowError, struct.error) as error:
        raise BadImage(f"cannot be decoded: {error}") from error
