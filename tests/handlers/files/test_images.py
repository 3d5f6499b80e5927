"""Images: real ones, made by Pillow, and what pretends to be one."""

from __future__ import annotations

import random
import struct
import zlib
from base64 import b64decode
from contextlib import suppress
from io import BytesIO

import pytest
from PIL import Image

from handlers.files.errors import BadImage
from handlers.files.images import MAX_PIXELS, placeholder_of, transform
from handlers.files.options import ImageFormat, ImageOptions
from tests.handlers.files.support import BLUE, CLEAR, RED, SIDEWAYS, an_image, decoded, encoded, is_near

WHITE = (255, 255, 255)
PROFILE = b"the colours of some camera" * 100


def two_halves(mode: str = "RGB") -> Image.Image:
    """40 × 20: the left half red, the right one blue or, where the mode has such, clear."""
    image = an_image(mode=mode, colour=CLEAR if mode == "RGBA" else BLUE)
    image.paste((*RED, 255)[: len(mode)], (0, 0, 20, 20))
    return image


# The box


@pytest.mark.parametrize(
    ("width", "height", "size"),
    [
        (20, None, (20, 10)),
        (None, 5, (10, 5)),
        (20, 5, (10, 5)),
        (4, 100, (4, 2)),
        (None, None, (40, 20)),
        (1, 1, (1, 1)),
    ],
)
def test_an_image_is_fitted_into_the_box(width: int | None, height: int | None, size: tuple[int, int]) -> None:
    made = transform(encoded(an_image()), ImageOptions(width=width, height=height, format="png"))

    assert decoded(made).size == size


def test_an_image_is_never_made_larger() -> None:
    made = transform(encoded(an_image(8, 4)), ImageOptions(width=400, height=400))

    assert decoded(made).size == (8, 4)


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_an_image_that_was_taken_sideways_is_upright(name: str) -> None:
    """The box is that of what is shown, which is as wide as the pixels are high."""
    made = transform(encoded(two_halves(), name, orientation=SIDEWAYS), ImageOptions(height=20, format="png"))

    image = decoded(made)
    assert image.size == (10, 20)
    assert is_near(image.getpixel((5, 2)), RED)
    assert is_near(image.getpixel((5, 17)), BLUE)
    assert not image.getexif()


# Formats


@pytest.mark.parametrize("target", ["jpeg", "png", "webp"])
@pytest.mark.parametrize("source", ["JPEG", "PNG", "GIF", "WEBP"])
def test_every_format_becomes_every_other(source: str, target: ImageFormat) -> None:
    made = transform(encoded(two_halves(), source), ImageOptions(format=target))

    image = decoded(made)
    assert image.format == target.upper()
    assert is_near(image.convert("RGB").getpixel((5, 10)), RED)
    assert is_near(image.convert("RGB").getpixel((35, 10)), BLUE)


@pytest.mark.parametrize("source", ["PNG", "WEBP", "GIF"])
def test_what_is_transparent_is_white_in_a_jpeg_and_stays_so_in_a_webp(source: str) -> None:
    data = encoded(two_halves("RGBA"), source)

    jpeg = decoded(transform(data, ImageOptions(format="jpeg")))
    webp = decoded(transform(data, ImageOptions(format="webp")))

    assert is_near(jpeg.getpixel((35, 10)), WHITE)
    assert is_near(jpeg.getpixel((5, 10)), RED)
    assert webp.convert("RGBA").getchannel("A").getpixel((35, 10)) == 0


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "PA", "I;16", "CMYK"])
@pytest.mark.parametrize("target", ["jpeg", "png", "webp"])
def test_pixels_of_every_kind_are_taken(mode: str, target: ImageFormat) -> None:
    image = an_image(mode="L", colour=(128,))
    data = encoded(
        Image.new("I;16", (40, 20), 128 * 256) if mode == "I;16" else image.convert("RGB").convert(mode),
        "JPEG" if mode == "CMYK" else "TIFF" if mode == "PA" else "PNG",
    )
    if mode == "PA":
        data = encoded(image.convert("P"), "GIF")

    made = decoded(transform(data, ImageOptions(width=20, format=target))).convert("RGB")

    grey = made.getpixel((10, 5))
    assert isinstance(grey, tuple)
    assert mode == "1" or is_near(grey, (128, 128, 128))


def test_of_an_animation_the_first_picture_is_taken() -> None:
    file = BytesIO()
    an_image(colour=RED).save(file, "GIF", save_all=True, append_images=[an_image(colour=BLUE)], duration=100)

    made = decoded(transform(file.getvalue(), ImageOptions(format="jpeg")))

    assert is_near(made.getpixel((20, 10)), RED)


def test_a_better_quality_takes_more_room() -> None:
    noise = Image.effect_noise((100, 100), 80)

    sizes = [len(transform(encoded(noise), ImageOptions(format="jpeg", quality=quality))) for quality in (10, 50, 95)]

    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[2]


def test_a_colour_profile_stays_and_a_comment_does_not() -> None:
    file = BytesIO()
    an_image().save(file, "JPEG", icc_profile=PROFILE, comment=b"taken at home")

    made = transform(file.getvalue(), ImageOptions(format="jpeg"))

    assert decoded(made).info["icc_profile"] == PROFILE
    assert b"taken at home" not in made


def test_options_that_make_the_same_image_have_one_name() -> None:
    assert ImageOptions(width=300).variant == "300x.webp.q80"
    assert ImageOptions(format="png", quality=10) != ImageOptions(format="png", quality=20)
    assert ImageOptions(format="png", quality=10).variant == ImageOptions(format="png", quality=20).variant == "x.png"


# Placeholders


@pytest.mark.parametrize(("size", "small"), [((400, 200), (10, 5)), ((30, 3000), (1, 10)), ((4, 2), (4, 2))])
def test_a_placeholder_is_a_jpeg_of_ten_pixels(size: tuple[int, int], small: tuple[int, int]) -> None:
    uri = placeholder_of(encoded(an_image(*size)))

    kind, _, text = uri.partition(",")
    image = decoded(b64decode(text, validate=True))
    assert (kind, image.format, image.size) == ("data:image/jpeg;base64", "JPEG", small)
    assert is_near(image.getpixel((0, 0)), RED)


def test_a_placeholder_is_small_upright_and_without_a_profile() -> None:
    image = two_halves("RGBA")
    image.info["icc_profile"] = PROFILE

    uri = placeholder_of(encoded(image, "WEBP", orientation=SIDEWAYS))

    assert len(uri) < 1_500
    assert decoded(b64decode(uri.partition(",")[2])).size == (5, 10)


# What is no image


def a_png_that_claims(width: int, height: int) -> bytes:
    """Some bytes that would be decoded to as many pixels as that."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"")) + chunk(b"IEND", b"")


@pytest.mark.parametrize(("width", "height"), [(10_000, 5_001), (10_000, 10_000), (60_000, 60_000)])
def test_a_decompression_bomb_is_refused_before_it_is_decoded(width: int, height: int) -> None:
    bomb = a_png_that_claims(width, height)

    with pytest.raises(BadImage, match=f"more than {MAX_PIXELS}"):
        placeholder_of(bomb)
    with pytest.raises(BadImage, match=f"more than {MAX_PIXELS}"):
        transform(bomb, ImageOptions())


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (b"", "is no JPEG, PNG, GIF or WebP image"),
        (b"%PDF-1.7", "is no JPEG, PNG, GIF or WebP image"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is no JPEG, PNG, GIF or WebP image"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "is no JPEG, PNG, GIF or WebP image"),
        (encoded(an_image(), "BMP"), "is no JPEG, PNG, GIF or WebP image"),
    ],
    ids=["nothing", "PDF", "SVG", "PostScript", "BMP"],
)
def test_other_formats_are_refused(data: bytes, why: str) -> None:
    with pytest.raises(BadImage, match=why):
        transform(data, ImageOptions())


@pytest.mark.parametrize("name", ["JPEG", "PNG", "WEBP"])
def test_a_file_that_was_cut_off_is_refused(name: str) -> None:
    whole = encoded(Image.effect_noise((200, 200), 80), name)

    with pytest.raises(BadImage, match="cannot be decoded"):
        transform(whole[: len(whole) // 2], ImageOptions())


@pytest.mark.filterwarnings("ignore::UserWarning")  # Pillow's, of data that it can do without
def test_whatever_is_wrong_with_the_bytes_is_the_images_fault() -> None:
    """A decoder may raise anything; another try would end the same."""
    chance = random.Random(7)
    for name in ("JPEG", "PNG", "GIF", "WEBP"):
        whole = encoded(Image.effect_noise((16, 16), 80).convert("RGB"), name, orientation=SIDEWAYS)
        for _ in range(60):
            broken = bytearray(whole)
            for _ in range(4):
                broken[chance.randrange(len(broken))] = chance.randrange(256)
            with suppress(BadImage):
                transform(bytes(broken), ImageOptions(width=8))


def test_an_image_that_its_new_format_has_no_room_for_is_refused() -> None:
    with pytest.raises(BadImage, match="cannot be written as webp"):
        transform(encoded(an_image(17_000, 1)), ImageOptions(format="webp"))
