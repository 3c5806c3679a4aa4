"""Decoding of picture files, whole and damaged."""

from __future__ import annotations

import io
import random
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image, ImageFile, ImageOps

from backends.codecs import pictures
from backends.codecs.pictures import PIXEL_BYTES, Probe, announced_bytes, decode_picture, probe_picture
from backends.errors import PictureDamaged
from backends.images import Images
from tests.backends.encoded import ORIENTATION, encoded, png_chunk, png_of_16_bits

FORMATS = ("JPEG", "PNG", "BMP", "WebP", "GIF", "TIFF", "AVIF", "PPM")


@pytest.fixture(scope="module")
def photo(sample_images: Images) -> Image.Image:
    """A real image that is wider than high, and different in every corner."""
    return Image.fromarray(sample_images.pixels[8]).crop((0, 0, 32, 21))


def assert_decodes_to(data: bytes, expected: NDArray[np.uint8], converted: str) -> None:
    pixels = decode_picture(data)
    np.testing.assert_array_equal(pixels, expected)
    assert pixels.dtype == np.uint8
    assert pixels.flags.c_contiguous
    assert probe_picture(io.BytesIO(data)) == Probe(expected.shape, converted)


def array(image: Image.Image, mode: str) -> NDArray[np.uint8]:
    pixels = np.asarray(image.convert(mode))
    return pixels.reshape(*pixels.shape[:2], -1)


MODES = {
    "PNG": "L RGB RGBA P LA 1", "BMP": "L RGB P 1", "WebP": "RGB RGBA", "JPEG": "L RGB CMYK", "GIF": "P",
    "TIFF": "L RGB RGBA P 1 CMYK", "AVIF": "RGB RGBA", "PPM": "L RGB 1",
}  # fmt: skip
CONVERTED = {"P": ("RGB", "palette"), "LA": ("RGBA", "grey+alpha"), "1": ("L", "1-bit"), "CMYK": ("RGB", "CMYK")}


@pytest.mark.parametrize(("form", "mode"), [(form, mode) for form, modes in MODES.items() for mode in modes.split()])
def test_mode_becomes_8_bits_of_1_3_or_4_channels(photo: Image.Image, form: str, mode: str) -> None:
    image = photo.convert(mode)
    if mode in ("RGBA", "LA"):
        image.putalpha(photo.convert("L"))
    data = encoded(image, form, **({"lossless": True, "exact": True} if form == "WebP" else {}))
    stored = Image.open(io.BytesIO(data)) if form in ("JPEG", "AVIF") else image
    becomes, converted = CONVERTED.get(mode, (mode, ""))
    assert_decodes_to(data, array(stored, becomes), converted)


def test_big_tiff_is_read(photo: Image.Image) -> None:
    data = encoded(photo, "TIFF", big_tiff=True)
    assert data.startswith(b"II+")
    assert_decodes_to(data, np.asarray(photo), "")


def test_nothing_is_written_about_a_damaged_picture(photo: Image.Image, tmp_path: Path) -> None:
    data, samples = bytearray(encoded(photo, "TIFF")), struct.pack("<HHI", 277, 3, 1)
    start = data.index(samples) + 8
    data[start : start + 2] = b"\xff\xff"
    (tmp_path / "it.tif").write_bytes(data)
    code = f"from backends.codecs.pictures import *; decode_picture(open({str(tmp_path / 'it.tif')!r}, 'rb').read())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.stderr.splitlines()[0] == "Traceback (most recent call last):"
    assert "More samples per pixel" not in done.stderr


@pytest.mark.parametrize(("colour", "kept"), [(0, [0]), (2, [0, 1, 2]), (4, [0, 0, 0, 1]), (6, [0, 1, 2, 3])])
def test_high_byte_of_16_bits_is_kept(colour: int, kept: list[int]) -> None:
    values = np.random.default_rng(0).integers(0, 1 << 16, (5, 7, max(kept) + 1), np.uint16)
    high = (values >> 8).astype(np.uint8)
    converted = "grey+alpha and 16-bit" if colour == 4 else "16-bit"
    assert_decodes_to(png_of_16_bits(colour, values), high[:, :, kept], converted)


@pytest.mark.parametrize(
    "options", [{}, {"progressive": True}, {"subsampling": 0}, {"quality": 30}, {"subsampling": 1}]
)
@pytest.mark.parametrize("mode", ["L", "RGB"])
def test_jpeg_has_the_pixels_that_pillow_gives(
    sample_images: Images, mode: str, options: dict[str, int | bool], monkeypatch: pytest.MonkeyPatch
) -> None:
    files = [encoded(Image.fromarray(pixels).convert(mode), "JPEG", **options) for pixels in sample_images.pixels[:20]]
    fast = [decode_picture(data) for data in files]
    monkeypatch.setattr(pictures, "_decode_plain_jpeg", lambda data, buffer, memory: None)
    for data, pixels in zip(files, fast, strict=True):
        assert_decodes_to(data, pixels, "")


def exif(order: str, orientation: int) -> bytes:
    """An Exif block that has nothing but an orientation, in the byte order of struct."""
    tiff = b"II*\0" if order == "<" else b"MM\0*"
    return b"Exif\0\0" + tiff + struct.pack(order + "IHHHIHHI", 8, 1, ORIENTATION, 3, 1, orientation, 0, 0)


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WebP"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("order", "<>")
def test_picture_is_turned_upright(photo: Image.Image, form: str, orientation: int, order: str) -> None:
    data = encoded(photo, form, exif=exif(order, orientation))
    expected = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert_decodes_to(data, np.asarray(expected), "EXIF orientation" if orientation > 1 else "")
    assert (expected.size == photo.size) == (orientation < 5)


EXIF_OF_6 = exif("<", 6).removeprefix(b"Exif\0\0")
RAW_PROFILE = (
    b"Raw profile type exif\0" + b"\0" + zlib.compress(b"\nexif\n  %d\n" % len(EXIF_OF_6) + EXIF_OF_6.hex().encode())
)
CHUNKS = {
    "Exif": png_chunk(b"eXIf", EXIF_OF_6),
    "raw profile": png_chunk(b"zTXt", RAW_PROFILE),
    "large text": png_chunk(b"zTXt", b"prompt\0\0" + zlib.compress(bytes(2 << 20))),
    "large profile": png_chunk(b"iCCP", b"icc\0\0" + zlib.compress(bytes(2 << 20))),
}


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("kind", CHUNKS)
def test_chunks_of_png_before_and_after_its_pixels_count_alike(photo: Image.Image, kind: str, late: bool) -> None:
    plain = encoded(photo)
    at = len(plain) - 12 if late else 33
    turned = kind in ("Exif", "raw profile")
    expected = np.asarray(photo.transpose(Image.Transpose.ROTATE_270) if turned else photo)
    assert_decodes_to(plain[:at] + CHUNKS[kind] + plain[at:], expected, "EXIF orientation" if turned else "")


@pytest.mark.parametrize("form", ["TIFF", "PPM"])
def test_high_byte_of_16_bits_is_kept_in(form: str) -> None:
    values = np.random.default_rng(0).integers(0, 1 << 16, (5, 7), np.uint16)
    assert_decodes_to(encoded(Image.fromarray(values), form), (values >> 8).astype(np.uint8)[:, :, None], "16-bit")


def with_stray_bytes(photo: Image.Image) -> bytes:
    whole = encoded(photo, "JPEG")
    return whole[:-2] + b"stray" + whole[-2:]


UNUSUAL: dict[str, tuple[Callable[[Image.Image], bytes], str, str]] = {
    "palette with transparency": (lambda photo: encoded(photo.convert("P"), transparency=3), "RGBA", "palette"),
    "one transparent colour": (lambda photo: encoded(photo, transparency=(1, 2, 3)), "RGB", ""),
    "one transparent grey": (lambda photo: encoded(photo.convert("L"), transparency=5), "L", ""),
    "palette and orientation": (
        lambda photo: encoded(photo.convert("P"), orientation=4), "RGB", "palette and EXIF orientation"
    ),
    "animation": (
        lambda photo: encoded(photo, save_all=True, append_images=[ImageOps.invert(photo)]), "RGB", ""
    ),
    "stray bytes": (with_stray_bytes, "RGB", ""),
}  # fmt: skip


@pytest.mark.parametrize("kind", UNUSUAL)
def test_unusual_picture_decodes_as_pillow_shows_it(photo: Image.Image, kind: str) -> None:
    make, mode, converted = UNUSUAL[kind]
    data = make(photo)
    shown = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    assert_decodes_to(data, array(shown, mode), converted)


BROKEN_EXIF = (b"", b"II*\0", b"II*\0\xff\xff\xff\xff", b"MM\0*\0\0\0\x08\xff\xff" + bytes(20), exif("<", 6)[6:16])


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("block", [*BROKEN_EXIF, *(exif("<", orientation)[6:] for orientation in (0, 9, 300))])
def test_broken_exif_or_unknown_orientation_is_upright(photo: Image.Image, block: bytes) -> None:
    for form in ("JPEG", "PNG", "WebP"):
        data = encoded(photo, form, exif=b"Exif\0\0" + block)
        assert_decodes_to(data, np.asarray(Image.open(io.BytesIO(data)).convert("RGB")), "")


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("form", FORMATS)
def test_truncated_picture_is_damaged(sample_images: Images, form: str) -> None:
    data = encoded(sample_images.pixels[0], form)
    decode_picture(data)
    for stop in (20, 40, len(data) // 2, len(data) - 50):
        with pytest.raises(PictureDamaged, match=r"^it (is (damaged|no JPEG)|has 2,048)"):
            decode_picture(data[:stop])
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False  # which would accept some of these


@pytest.mark.parametrize(("width", "height"), [(60_000, 60_000), (2_000_000, 10)])
def test_bomb_is_refused_before_it_is_decoded(photo: Image.Image, width: int, height: int) -> None:
    data = bytearray(encoded(photo))
    data[16:24] = struct.pack(">II", width, height)
    data[29:33] = struct.pack(">I", zlib.crc32(bytes(data[12:29])))
    assert_too_large(bytes(data), f"it has {width:,} x {height:,} pixels by its header, and 2,048 MiB of memory")


def assert_too_large(data: bytes, sentence: str) -> None:
    for look in (decode_picture, lambda data: probe_picture(io.BytesIO(data))):
        with pytest.raises(PictureDamaged, match=sentence):
            look(data)


@pytest.mark.parametrize("form", FORMATS)
def test_limit_of_memory_holds_for_every_format(photo: Image.Image, form: str) -> None:
    data = encoded(photo, form)
    assert announced_bytes(data) == PIXEL_BYTES * 32 * 21
    decode_picture(data, memory=PIXEL_BYTES * 32 * 21)
    with pytest.raises(PictureDamaged, match="has 32 x 21 pixels by its header, and 0 MiB of memory"):
        decode_picture(data, memory=PIXEL_BYTES * 32 * 21 - 1)


def test_picture_beyond_pillow_s_limit_is_read() -> None:
    image = Image.new("L", (20_000, 9_500), 7)
    for data in (encoded(image, compress_level=1), encoded(image, "BMP")):
        assert decode_picture(data).shape == (9_500, 20_000, 1)
        assert probe_picture(io.BytesIO(data)).shape == (9_500, 20_000, 1)


@pytest.mark.parametrize("content", [b"<html>404</html>", b"BM is no bitmap" + bytes(30), b"\x89PNG", bytes(99), b"",
                                     "PDF", "ICO", "JPEG2000"])  # fmt: skip
def test_bytes_of_no_known_picture_are_refused(photo: Image.Image, content: bytes | str) -> None:
    data = encoded(photo, content) if isinstance(content, str) else content
    with pytest.raises(
        PictureDamaged, match="it is no JPEG, PNG, BMP, WebP, GIF, TIFF, AVIF or PPM picture" if data else "it is empty"
    ):
        decode_picture(data)


HARMS: dict[str, Callable[[bytearray, random.Random], object]] = {
    "flip": lambda data, rng: data.__setitem__(rng.randrange(len(data)), rng.randrange(256)),
    "head": lambda data, rng: data.__setitem__(rng.randrange(min(99, len(data))), rng.randrange(256)),
    "cut": lambda data, rng: data.__delitem__(slice(rng.randrange(1, 1 + len(data)), None)),
    "insert": lambda data, rng: data.insert(rng.randrange(len(data)), rng.randrange(256)),
}


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("form", FORMATS)
@pytest.mark.parametrize("harm", HARMS)
def test_mutated_picture_decodes_or_is_damaged(photo: Image.Image, form: str, harm: str) -> None:
    whole, rng = encoded(photo, form, **({} if form == "BMP" else {"orientation": 6})), random.Random(form)
    decoded = 0
    for _ in range(150):
        data = bytearray(whole)
        for _ in range(rng.choice((1, 2, 5))):
            HARMS[harm](data, rng)
        try:
            pixels = decode_picture(bytes(data))
        except PictureDamaged:
            continue
        assert probe_picture(io.BytesIO(data)).shape == pixels.shape
        decoded += 1
    assert decoded < 150
