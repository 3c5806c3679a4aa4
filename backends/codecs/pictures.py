"""Decodes picture files to pixels: upright, 8 bits a channel, 1, 3 or 4 channels.

==================  ===========  ==================================================
in the file         channels     ``converted``
==================  ===========  ==================================================
grey                1
RGB                 3
RGB, alpha          4
palette             3            palette; 4 channels where it has transparency
grey, alpha         4            grey+alpha: the grey three times
1 bit               1            1-bit: 0 and 255
16 bits             as above     16-bit: the high byte of each value
CMYK, YCCK          3            CMYK: as Pillow converts it
turned by EXIF      as above     EXIF orientation: turned upright
==================  ===========  ==================================================

Colour profiles, an orientation in XMP, a single transparent colour of a grey or RGB picture, and all frames or pages
but the first are ignored.  The first bytes tell the format, never a suffix.  JPEGs in grey or YCbCr are decoded by
libjpeg-turbo, which is several times as fast for small ones and gives the same pixels.  Pillow decodes everything else,
and decides what is damaged; of a PNG it gets no texts, profiles and Exif, of which it refuses large ones.
"""

from __future__ import annotations

import io
import logging
import struct
import zlib
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import simplejpeg
from PIL.AvifImagePlugin import AvifImageFile
from PIL.BmpImagePlugin import BmpImageFile
from PIL.GifImagePlugin import GifImageFile
from PIL.Image import DecompressionBombError as _Bomb
from PIL.Image import getmodebands
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.PpmImagePlugin import PpmImageFile
from PIL.TiffImagePlugin import TiffImageFile
from PIL.WebPImagePlugin import WebPImageFile

from backends import limits
from backends.errors import PictureDamaged

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else what it says of damage is written over the screen

HEAD_BYTES = 32
"""The first bytes of a file, which tell its format."""

SUFFIXES = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".mpo", ".png", ".bmp", ".webp", ".gif"),
    *(".tif", ".tiff", ".avif", ".ppm", ".pgm", ".pbm", ".pnm"),
)
"""Suffixes of pictures, in lower case; the content of a file decides."""

MAX_SIDE = 1_000_000
MEMORY = limits.PICTURE_MEMORY.value
"""Bytes that decoding one picture may take where a caller does not say how many."""

PIXEL_BYTES = 10
"""Bytes that decoding takes for a pixel: 4 in Pillow, and two copies of 3."""

_JPEG, _EXIF = b"\xff\xd8\xff", b"Exif\0\0"
_READERS: dict[str, Callable[[BinaryIO], ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "BMP": BmpImageFile,
    "WebP": WebPImageFile,
    "GIF": GifImageFile,
    "TIFF": TiffImageFile,
    "AVIF": AvifImageFile,
    "PPM": PpmImageFile,
}
FORMATS = f"{', '.join([*_READERS][:-1])} or {[*_READERS][-1]}"
_BMP_HEADERS = frozenset((12, 40, 52, 56, 64, 108, 124))
_PNG_DEPTH, _PNG_COLOUR, _PNG_GREY_ALPHA = 24, 25, 4

_CONVERSIONS = {
    "L": ("L", ""),
    "RGB": ("RGB", ""),
    "RGBA": ("RGBA", ""),
    "1": ("L", "1-bit"),
    "P": ("RGB", "palette"),
    "LA": ("RGBA", ""),
    "I;16": ("I;16", "16-bit"),
    "I;16B": ("I;16B", "16-bit"),
    "I": ("I", "16-bit"),
    "CMYK": ("RGB", "CMYK"),
}
"""Modes of Pillow: the mode that each is converted to, and its ``converted``."""

_ORIENTATION_TAG, _SHORT = 0x0112, 3


@dataclass(frozen=True, slots=True)
class Probe:
    """What the header of a picture says."""

    shape: tuple[int, int, int]  # (height, width, channels) of its pixels
    converted: str  # the conversions of the table above, joined by "and"; empty if there are none


def format_of(head: bytes) -> str | None:
    """One of ``FORMATS`` by the first ``HEAD_BYTES`` of a file; None for any other format."""
    if head.startswith(_JPEG):
        return "JPEG"
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return "PNG"
    if head.startswith(b"RIFF") and head[8:12] == b"WEBP":
        return "WebP"
    if head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in _BMP_HEADERS:
        return "BMP"
    if head.startswith((b"GIF87a", b"GIF89a")):
        return "GIF"
    if head.startswith((b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")):  # the latter two are BigTIFF
        return "TIFF"
    if head[4:12] in (b"ftypavif", b"ftypavis"):
        return "AVIF"
    if head[:2] in (b"P1", b"P2", b"P3", b"P4", b"P5", b"P6") and head[2:3].isspace():
        return "PPM"
    return None


def jpeg_bytes(data: NDArray[np.uint8] | memoryview) -> int:
    """Bytes of the pixels of a grey or YCbCr JPEG by its header; 0 for other files."""
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
    except ValueError:
        return 0
    return int(height * width * {"Gray": 1, "YCbCr": 3}.get(space, 0))


def decode_picture(
    data: bytes | NDArray[np.uint8], buffer: NDArray[np.uint8] | None = None, memory: int = MEMORY
) -> NDArray[np.uint8]:
    """The pixels of a whole file, ``(height, width, channels)`` uint8, C-contiguous.

    A grey or YCbCr JPEG is decoded into ``buffer``, uint8, if that has as many as its ``jpeg_bytes``.  Pillow may warn,
    for example about broken Exif blocks.  Raises PictureDamaged for files of other formats, damaged or truncated ones,
    and those with more pixels by their header than ``memory`` bytes hold.
    """
    view = data.data if isinstance(data, np.ndarray) else memoryview(data)
    decoded = _decode_plain_jpeg(view, buffer, memory) if bytes(view[:3]) == _JPEG else None
    if decoded is None:
        with pillow_errors():
            image, mode, _, exif = open_picture(io.BytesIO(view), memory)
            image.load()
            pixels = np.asarray(image if image.mode == mode else image.convert(mode))
        orientation = _orientation(exif)
    else:
        pixels, orientation = decoded
    if pixels.dtype != np.uint8:
        pixels = (pixels.clip(0, 65_535) >> 8).astype(np.uint8)
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    return pixels if orientation == 1 else _upright(pixels, orientation)


def probe_picture(file: BinaryIO) -> Probe:
    """Read the header of a picture, for WebP the whole file.  Raises PictureDamaged as ``decode_picture``."""
    with pillow_errors():
        image, mode, conversions, exif = open_picture(file, header=True)
    width, height = image.size
    orientation = _orientation(exif)
    if orientation > 1:
        conversions.append("EXIF orientation")
    if orientation > 4:
        width, height = height, width
    return Probe((height, width, getmodebands(mode)), " and ".join(conversions))


def open_picture(
    file: BinaryIO, memory: int = MEMORY, *, header: bool = False
) -> tuple[ImageFile, str, list[str], bytes]:
    """A picture with its pixels unread, the mode to convert it to, its conversions, and its Exif block.

    With ``header``, its pixels cannot be read later.
    """
    head = file.read(HEAD_BYTES)
    file.seek(0)
    format_ = format_of(head)
    if format_ is None:
        raise PictureDamaged(f"it is no {FORMATS} picture" if head else "it is empty")
    exif = b""
    if format_ == "PNG":
        file, exif = _essential_png(file, header=header)
    image = _READERS[format_](file)
    exif = exif or image.info.get("exif", b"")
    check_size(*image.size, memory)
    if image.mode not in _CONVERSIONS or (image.mode == "I" and format_ != "PPM"):  # others have 32 bits
        raise PictureDamaged(f"it is a {format_} in {image.mode}, which has no rule")
    mode, conversion = _CONVERSIONS[image.mode]
    conversions = [conversion] if conversion else []
    if format_ == "PNG" and head[_PNG_COLOUR] == _PNG_GREY_ALPHA:
        conversions.append("grey+alpha")
    if format_ == "PNG" and head[_PNG_DEPTH] == 16 and "16-bit" not in conversions:
        conversions.append("16-bit")
    if image.mode == "P" and "transparency" in image.info:
        mode = "RGBA"
    return image, mode, conversions, exif


_DROPPED = (b"iCCP", b"tEXt", b"zTXt", b"iTXt", b"eXIf")
_RAW_EXIF = b"Raw profile type exif\0"
_EXIF_BYTES = 1 << 20


def _essential_png(file: BinaryIO, *, header: bool) -> tuple[BinaryIO, bytes]:
    """A PNG without texts, profiles and Exif, with ``header`` without pixels too; and its Exif block.

    The block may come before or after the pixels, in a chunk of its own or as ImageMagick's raw profile.
    """
    parts, exif, profile, begun = [file.read(8)], b"", b"", False
    while len(start := file.read(8)) == 8 and start[4:].isalpha():
        length, kind = int.from_bytes(start[:4], "big"), start[4:]
        if kind in _DROPPED[1:] and length <= _EXIF_BYTES:
            data = file.read(length + 4)[:length]
            exif = data if kind == b"eXIf" else exif
            profile = profile or _raw_exif(kind, data)
        elif kind in _DROPPED or (header and kind == b"IDAT" and begun):
            file.seek(length + 4, io.SEEK_CUR)
        elif header and kind == b"IDAT":
            parts.append(start)
            begun = True
            file.seek(length + 4, io.SEEK_CUR)
        else:
            parts += [start, file.read(length + 4)]
        if kind == b"IEND":
            break
    else:
        parts += [start, b"" if header else file.read()]
    return io.BytesIO(b"".join(parts)), exif or profile


def _raw_exif(kind: bytes, data: bytes) -> bytes:
    """The Exif block of a text chunk that has one, in hexadecimal digits after name and length; else empty."""
    if not data.startswith(_RAW_EXIF):
        return b""
    text = data[len(_RAW_EXIF) :]
    try:
        text = zlib.decompressobj().decompress(text[1:], _EXIF_BYTES) if kind == b"zTXt" else text
        return bytes.fromhex(b"".join(text.split()[2:]).decode("ascii"))
    except (zlib.error, ValueError):
        return b""


@contextmanager
def pillow_errors() -> Iterator[None]:
    """Turn all that Pillow raises for damaged pictures into PictureDamaged."""
    try:
        yield
    except PictureDamaged:
        raise
    except _Bomb:
        raise PictureDamaged("it has more pixels than Pillow reads of this format") from None
    except (OSError, SyntaxError, ValueError, LookupError, EOFError, RuntimeError, struct.error, zlib.error) as error:
        if str(error).startswith("Unsupported"):
            raise PictureDamaged(f"it is of a kind that Pillow does not read ({error})") from error
        raise PictureDamaged(f"it is damaged ({error})") from error


def check_size(width: int, height: int, memory: int = MEMORY) -> None:
    """Raise PictureDamaged for a picture without pixels, or with more than ``memory`` bytes hold."""
    if not 0 < width * height * PIXEL_BYTES <= memory or max(width, height) > MAX_SIDE:
        size = f"{width:,} x {height:,} pixels by its header"
        raise PictureDamaged(f"it has {size}, and {memory >> 20:,} MiB of memory (--memory) are the limit")


def announced_bytes(data: bytes) -> int:
    """Bytes of memory for the pixels that the header of a picture announces; 0 where it cannot be read."""
    try:
        if data.startswith(_JPEG):
            height, width, _, _ = simplejpeg.decode_jpeg_header(data)
        elif data.startswith(b"\x89PNG") and len(data) >= 24:
            width, height = struct.unpack_from(">II", data, 16)
        else:
            height, width, _ = probe_picture(io.BytesIO(data)).shape
    except ValueError:
        return 0
    return int(height * width * PIXEL_BYTES)


def _decode_plain_jpeg(
    data: memoryview, buffer: NDArray[np.uint8] | None, memory: int
) -> tuple[NDArray[np.uint8], int] | None:
    """Pixels and orientation of a JPEG in grey or YCbCr; None for others, and if anything is unusual."""
    exif = _exif_of_jpeg(data)
    if exif is None:
        return None
    try:
        height, width, space, _ = simplejpeg.decode_jpeg_header(data)
        check_size(width, height, memory)
        if space in ("Gray", "YCbCr"):
            mode = "GRAY" if space == "Gray" else "RGB"
            return simplejpeg.decode_jpeg(data, mode, buffer=buffer), _orientation(exif)
    except PictureDamaged:
        raise
    except ValueError:
        return None
    return None


def _exif_of_jpeg(data: memoryview) -> bytes | None:
    """The first Exif segment before the pixels, empty if there is none; None if the segments are malformed."""
    at = 2
    while at + 4 <= len(data):
        marker, length = struct.unpack_from(">HH", data, at)
        if marker == 0xFFDA:
            return b""
        if marker == 0xFFE1 and bytes(data[at + 4 : at + 10]) == _EXIF:
            return bytes(data[at + 4 : at + 2 + length])
        if marker < 0xFFC0 or length < 2:
            return None
        at += 2 + length
    return None


def _orientation(exif: bytes) -> int:
    """Orientation of an Exif block, 1 to 8; 1, upright, if it has none (Exif 2.3, section 4.6.4; TIFF 6.0)."""
    tiff = exif.removeprefix(_EXIF)
    order = {b"II*\0": "<", b"MM\0*": ">"}.get(tiff[:4])
    if order is None:
        return 1
    try:
        (start,) = struct.unpack_from(f"{order}I", tiff, 4)
        (count,) = struct.unpack_from(f"{order}H", tiff, start)
        for at in range(start + 2, start + 2 + 12 * count, 12):
            tag, kind, _, value = struct.unpack_from(f"{order}HHIH", tiff, at)
            if tag == _ORIENTATION_TAG:
                return value if kind == _SHORT and 1 <= value <= 8 else 1
    except struct.error:
        pass
    return 1


def _upright(pixels: NDArray[np.uint8], orientation: int) -> NDArray[np.uint8]:
    if orientation > 4:
        pixels = pixels.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return np.ascontiguousarray(pixels)
