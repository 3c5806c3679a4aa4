"""PNG, lossless: a batch at a time for files as written here, by Pillow for all others.

Fast because the rows of all images of a batch are filtered at once, each minus the row above it ("up"), and libdeflate
packs and unpacks them; reading takes one cumulative sum over the batch.  ISA-L deflates photographs three times as fast
as libdeflate at level 1, but about once in 10,000 shards to other bytes, and equal images must make equal stores.  The
filter "sub" makes records 2 % smaller, but its sums take five times as long for small images.  The format: W3C PNG,
third edition.
"""

from __future__ import annotations

import io
import math
import struct
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING

import deflate
import numpy as np

from backends.base import Codec, PngOptions
from backends.codecs.pictures import decode_picture, open_picture, pillow_errors
from backends.codecs.source import allocate, check_shape
from backends.errors import ContainerDamaged, PictureDamaged
from backends.images import Images, Records, offsets_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from backends.images import Layout

    Shape = tuple[int, ...]

MAX_PIXELS = 178_956_970
"""The largest pictures that Pillow opens without being asked to."""

PIECE_BYTES = 1 << 20
"""Pixels that are filtered at once: they fit a processor's cache, and need little memory."""

LONG_ROW_BYTES = 192
"""From this size on, adding row by row is faster than ``np.add.accumulate``."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEAD_BYTES = 33
"""Signature and IHDR."""
END = b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"
BEFORE_STREAM, AFTER_STREAM = HEAD_BYTES + 8, 4 + len(END)
"""Bytes of a record before and after the deflated rows, its only IDAT."""
_BEFORE, _AFTER = struct.Struct(f">{HEAD_BYTES}sI4s"), struct.Struct(f">I{len(END)}s")
_IDAT = b"IDAT"
_CRC_OF_IDAT = deflate.crc32(_IDAT)
_UP = 2
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
"""IHDR's colour type by the number of channels."""
_CHANNELS = {colour: channels for channels, colour in _COLOUR_TYPES.items()}


class Png(Codec):
    """PNG with 8 bits a channel: grey, RGB or RGBA."""

    name, suffix = "png", ".png"

    def encode(self, images: Images) -> Records:
        """Raises ValueError for images of other channels, or of more than ``MAX_PIXELS``."""
        level = self.options.level if isinstance(self.options, PngOptions) else PngOptions().level
        pixels = images.pixels
        array = pixels if isinstance(pixels, np.ndarray) else None
        shapes = [image.shape for image in pixels] if array is None else [array.shape[1:]] * len(array)
        parts: list[bytes | bytearray] = [b""] * (3 * len(images))
        for shape, indices in _pieces(shapes):
            head = head_of(*shape)
            piece = np.stack([pixels[i] for i in indices]) if array is None else array[indices[0] : indices[-1] + 1]
            rows = _filtered(piece)
            size, view = rows.shape[1], rows.reshape(-1).data
            for number, index in enumerate(indices):
                stream = deflate.zlib_compress(view[number * size : number * size + size], level)
                crc = deflate.crc32(stream, _CRC_OF_IDAT)
                before = _BEFORE.pack(head, len(stream), _IDAT)
                parts[3 * index : 3 * index + 3] = before, stream, _AFTER.pack(crc, END)
        lengths = [BEFORE_STREAM + len(stream) + AFTER_STREAM for stream in parts[1::3]]
        return Records(np.frombuffer(b"".join(parts), np.uint8), offsets_of(lengths), images.labels)

    def decode(self, records: Records, layout: Layout, out: NDArray[np.uint8] | None = None) -> Images:
        images, data = allocate(len(records), layout, out), records.data.data
        files = [data[start:stop] for start, stop in pairwise(records.offsets.tolist())]
        others: list[int] = []
        for shape, indices in _pieces([_plain_shape(file) for file in files]):
            if shape:
                check_shape(shape, layout, indices[0])
                others += _decode_plain(files, indices, shape, images)
            else:
                others += indices
        for index in sorted(others):
            pixels = _decode_any(files[index], index)
            check_shape(pixels.shape, layout, index)
            images[index] = pixels
        return Images(images, records.labels)


@lru_cache(maxsize=64)
def head_of(height: int, width: int, channels: int) -> bytes:
    """Signature and IHDR of an image with 8 bits a channel, not interlaced.

    Raises ValueError where PNG has no such image, or no reader would accept it.
    """
    if channels not in _COLOUR_TYPES or not 0 < height * width <= MAX_PIXELS:
        raise ValueError(
            f"png keeps images of 1, 3 or 4 channels and up to {MAX_PIXELS:,} pixels, not {(height, width, channels)}."
        )
    fields = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return SIGNATURE + struct.pack(">I", 13) + fields + struct.pack(">I", deflate.crc32(fields))


@lru_cache(maxsize=64)
def _shape_of(head: bytes) -> Shape:
    """The shape for which ``head_of`` returns ``head``; empty if there is none."""
    width, height, _, colour = struct.unpack_from(">IIBB", head, 16)
    channels = _CHANNELS.get(colour, 0)
    plain = channels and 0 < height * width <= MAX_PIXELS and head == head_of(height, width, channels)
    return (height, width, channels) if plain else ()


def _plain_shape(file: memoryview) -> Shape:
    """The shape of a record that is a head, one IDAT and IEND only; empty for others."""
    size = len(file) - BEFORE_STREAM - AFTER_STREAM
    if size < 0:
        return ()
    head, length, kind = _BEFORE.unpack_from(file)
    _, end = _AFTER.unpack_from(file, BEFORE_STREAM + size)
    return _shape_of(head) if length == size and kind == _IDAT and end == END else ()


def _pieces(shapes: Iterable[Shape]) -> Iterator[tuple[Shape, list[int]]]:
    """The different shapes, each with the indices of images that have it, of about ``PIECE_BYTES`` together."""
    groups: dict[Shape, list[int]] = {}
    for index, shape in enumerate(shapes):
        groups.setdefault(shape, []).append(index)
    for shape, indices in groups.items():
        count = max(1, PIECE_BYTES // max(1, math.prod(shape)))
        for start in range(0, len(indices), count):
            yield shape, indices[start : start + count]


def _filtered(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The rows of ``(n, height, width, channels)`` pixels by the filter "up", each after its type: ``(n, bytes)``."""
    count, height, width, channels = pixels.shape
    flat = pixels.reshape(count, height, width * channels)
    rows = np.empty((count, height, 1 + width * channels), np.uint8)
    rows[:, :, 0] = _UP
    rows[:, 0, 1:] = flat[:, 0]
    np.subtract(flat[:, 1:], flat[:, :-1], out=rows[:, 1:, 1:])
    return rows.reshape(count, -1)


def _decode_plain(
    files: Sequence[memoryview],
    indices: list[int],
    shape: Shape,
    images: NDArray[np.uint8] | list[NDArray[np.uint8]],
) -> list[int]:
    """Decode plain records of one shape into ``images``; return the indices of those with other filters than "up"."""
    height, width, channels = shape
    size = height * (1 + width * channels)
    joined = b"".join([_inflate(files[index], index, size) for index in indices])
    rows = np.frombuffer(joined, np.uint8).reshape(-1, height, 1 + width * channels)
    differences = rows[:, :, 1:].reshape(-1, *shape)
    first, last = indices[0], indices[-1]
    if isinstance(images, np.ndarray) and last - first + 1 == len(indices):
        _sum_rows(differences, images[first : last + 1])
    else:
        pixels = np.empty(differences.shape, np.uint8)
        _sum_rows(differences, pixels)
        for index, image in zip(indices, pixels, strict=True):
            images[index] = image
    if joined[:: 1 + width * channels].count(_UP) == height * len(indices):
        return []
    return [indices[number] for number in np.flatnonzero((rows[:, :, 0] != _UP).any(axis=1)).tolist()]


def _inflate(file: memoryview, index: int, size: int) -> bytearray:
    """The rows of a plain record.  Raises ContainerDamaged for a wrong CRC, and if they are not ``size`` bytes."""
    stream, (crc, _) = file[BEFORE_STREAM:-AFTER_STREAM], _AFTER.unpack_from(file, len(file) - AFTER_STREAM)
    if deflate.crc32(stream, _CRC_OF_IDAT) != crc:
        raise ContainerDamaged(f"record {index} is not a whole PNG: its CRC is wrong.")
    try:
        rows = deflate.zlib_decompress(stream, size)
    except deflate.DeflateError:
        rows = bytearray()
    if len(rows) != size:
        raise ContainerDamaged(f"record {index} is not a whole PNG: it does not inflate to {size:,} bytes.")
    return rows


def _sum_rows(differences: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
    """Undo "up": each row of ``(n, height, width, channels)`` is the sum of those above it, modulo 256."""
    if differences[:, 0].size < LONG_ROW_BYTES:
        np.add.accumulate(differences, axis=1, dtype=np.uint8, out=pixels)
        return
    pixels[:, 0] = differences[:, 0]
    for row in range(1, pixels.shape[1]):
        np.add(pixels[:, row - 1], differences[:, row], out=pixels[:, row])


def _decode_any(file: memoryview, index: int) -> NDArray[np.uint8]:
    """Decode any PNG, by the rule for all pictures; unlike that it must be whole, to the CRC of each chunk."""
    try:
        with pillow_errors():
            image, *_ = open_picture(io.BytesIO(file))
            if image.format != "PNG" or END not in bytes(file):
                raise PictureDamaged("it is cut, or of another format")
            image.verify()  # all CRCs but the last; decoding alone checks fewer
        return decode_picture(bytes(file))
    except PictureDamaged as error:
        raise ContainerDamaged(f"record {index} is not a PNG that can be read: {error}.") from error
