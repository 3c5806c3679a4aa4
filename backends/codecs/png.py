"""PNG, lossless: a batch at a time for files as written here, by Pillow for all others.

Fast because the rows of all images of a batch are filtered at once, each minus the row above it ("up"), and deflated by
ISA-L; reading inflates by libdeflate, then takes one cumulative sum over the batch.  The filter "sub" makes records 2 %
smaller, but its sums take five times as long for small images.  The format: W3C PNG, third edition.
"""

from __future__ import annotations

import io
import math
import struct
from functools import lru_cache
from itertools import pairwise
from typing import TYPE_CHECKING, TypeVar

import deflate
import numpy as np
from isal import isal_zlib
from PIL import Image

from backends.base import Codec, PngOptions
from backends.errors import ContainerDamaged
from backends.images import Images, Records, offsets_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from backends.images import Layout

T = TypeVar("T")

MAX_PIXELS = 89_478_485
"""The limit of Pillow, which takes larger images for decompression bombs."""

PIECE_BYTES = 1 << 20
"""Pixels that are filtered at once: they fit a processor's cache, and need little memory."""

LONG_ROW_BYTES = 192
"""From this size on, adding row by row is faster than ``np.add.accumulate``."""

FAST_LEVEL = 1
"""The level at which ISA-L deflates photographs in half the time of libdeflate, which is better at all others."""

SIGNATURE = b"\x89PNG\r\n\x1a\n"
HEAD_BYTES = 33
"""Signature and IHDR."""
DEPTH_BYTE = 24
"""Position of the bits per channel in IHDR."""
END = b"\x00\x00\x00\x00IEND\xae\x42\x60\x82"
BEFORE_STREAM, AFTER_STREAM = HEAD_BYTES + 8, 4 + len(END)
"""Bytes of a record before and after the deflated rows, its only IDAT."""
_BEFORE, _AFTER = struct.Struct(f">{HEAD_BYTES}sI4s"), struct.Struct(f">I{len(END)}s")
_IDAT = b"IDAT"
_CRC_OF_IDAT = isal_zlib.crc32(_IDAT)
_UP = 2
_COLOUR_TYPES = {1: 0, 3: 2, 4: 6}
"""IHDR's colour type by the number of channels."""
_CHANNELS = {colour: channels for channels, colour in _COLOUR_TYPES.items()}
_MODES = {"L": "L", "RGB": "RGB", "RGBA": "RGBA", "1": "L", "LA": "RGBA", "P": "RGB"}
"""Modes of Pillow, and those to which they convert without loss."""


class Png(Codec):
    """PNG with 8 bits a channel: grey, RGB or RGBA."""

    name, suffix = "png", ".png"

    def encode(self, images: Images) -> Records:
        """Raises ValueError for images of other channels, or of more than ``MAX_PIXELS``."""
        level = self.options.level if isinstance(self.options, PngOptions) else PngOptions().level
        compress = isal_zlib.compress if level == FAST_LEVEL else deflate.zlib_compress
        pixels = images.pixels
        array = pixels if isinstance(pixels, np.ndarray) else None
        shapes = [image.shape for image in pixels] if array is None else [array.shape[1:]] * len(array)
        parts: list[bytes | bytearray] = [b""] * (3 * len(images))
        for shape, indices in _grouped(shapes):
            head = head_of(*shape)
            for piece in _pieces(indices, shape):
                rows = _filtered(
                    np.stack([pixels[i] for i in piece]) if array is None else array[piece[0] : piece[-1] + 1]
                )
                size, view = rows.shape[1], rows.reshape(-1).data
                for number, index in enumerate(piece):
                    stream = compress(view[number * size : number * size + size], level)
                    crc = isal_zlib.crc32(stream, _CRC_OF_IDAT)
                    before = _BEFORE.pack(head, len(stream), _IDAT)
                    parts[3 * index : 3 * index + 3] = before, stream, _AFTER.pack(crc, END)
        lengths = [BEFORE_STREAM + len(stream) + AFTER_STREAM for stream in parts[1::3]]
        return Records(np.frombuffer(b"".join(parts), np.uint8), offsets_of(lengths), images.labels)

    def decode(self, records: Records, layout: Layout, out: NDArray[np.uint8] | None = None) -> Images:
        images: NDArray[np.uint8] | list[NDArray[np.uint8]]
        if layout.image_shape is None:
            images = [np.empty((0, 0, 1), np.uint8)] * len(records)
        else:
            images = np.empty((len(records), *layout.image_shape), np.uint8) if out is None else out
        data, offsets = records.data.data, records.offsets.tolist()
        heads, crcs = _find_plain(data, offsets)
        others: list[int] = []
        for head, indices in _grouped(heads):
            shape = shape_of(head) if head else None
            if shape is None:
                others += indices
                continue
            _check_shape(shape, layout, indices[0])
            for piece in _pieces(indices, shape):
                others += _decode_plain(data, offsets, crcs, piece, shape, images)
        for index in sorted(others):
            pixels = _decode_any(records.record(index).tobytes(), index)
            _check_shape(pixels.shape, layout, index)
            images[index] = pixels
        return Images(images, records.labels)


@lru_cache(maxsize=64)
def head_of(height: int, width: int, channels: int) -> bytes:
    """Signature and IHDR of an image with 8 bits a channel, not interlaced.

    Raises
    ------
    ValueError
        PNG has no such image, or no reader would accept it.
    """
    if channels not in _COLOUR_TYPES or not 0 < height * width <= MAX_PIXELS:
        raise ValueError(
            f"png keeps images of 1, 3 or 4 channels and up to {MAX_PIXELS:,} pixels, not {(height, width, channels)}."
        )
    fields = struct.pack(">4sIIBBBBB", b"IHDR", width, height, 8, _COLOUR_TYPES[channels], 0, 0, 0)
    return SIGNATURE + struct.pack(">I", 13) + fields + struct.pack(">I", isal_zlib.crc32(fields))


def shape_of(head: bytes) -> tuple[int, int, int] | None:
    """The shape for which ``head_of`` returns ``head``; None if there is none."""
    width, height, _, colour = struct.unpack_from(">IIBB", head, 16)
    channels = _CHANNELS.get(colour, 0)
    if not channels or not 0 < height * width <= MAX_PIXELS or head != head_of(height, width, channels):
        return None
    return height, width, channels


def _filtered(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The rows of ``(n, height, width, channels)`` pixels by the filter "up", each after its type: ``(n, bytes)``."""
    count, height, width, channels = pixels.shape
    flat = pixels.reshape(count, height, width * channels)
    rows = np.empty((count, height, 1 + width * channels), np.uint8)
    rows[:, :, 0] = _UP
    rows[:, 0, 1:] = flat[:, 0]
    np.subtract(flat[:, 1:], flat[:, :-1], out=rows[:, 1:, 1:])
    return rows.reshape(count, -1)


def _find_plain(data: memoryview, offsets: list[int]) -> tuple[list[bytes], list[int]]:
    """For each record its head and the CRC of its IDAT; an empty head unless it is a head, one IDAT and IEND only."""
    heads, crcs = [b""] * (len(offsets) - 1), [0] * (len(offsets) - 1)
    for index, (start, stop) in enumerate(pairwise(offsets)):
        size = stop - start - BEFORE_STREAM - AFTER_STREAM
        if size >= 0:
            head, length, kind = _BEFORE.unpack_from(data, start)
            crcs[index], end = _AFTER.unpack_from(data, stop - AFTER_STREAM)
            if length == size and kind == _IDAT and end == END:
                heads[index] = head
    return heads, crcs


def _decode_plain(
    data: memoryview,
    offsets: list[int],
    crcs: list[int],
    indices: Sequence[int],
    shape: tuple[int, int, int],
    images: NDArray[np.uint8] | list[NDArray[np.uint8]],
) -> list[int]:
    """Decode plain records of one shape into ``images``; return the indices of those with other filters than "up"."""
    height, width, channels = shape
    size = height * (1 + width * channels)
    streams = []
    for index in indices:
        stream = data[offsets[index] + BEFORE_STREAM : offsets[index + 1] - AFTER_STREAM]
        try:
            streams.append(_inflate(stream, crcs[index], size))
        except ValueError as error:
            raise ContainerDamaged(f"record {index} is not a whole PNG: {error}.") from error
    joined = b"".join(streams)
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


def _inflate(stream: memoryview, crc: int, size: int) -> bytearray:
    """Inflate an IDAT.  Raises ValueError for a wrong CRC, a damaged stream, and other than ``size`` bytes."""
    if isal_zlib.crc32(stream, _CRC_OF_IDAT) != crc:
        raise ValueError("its CRC is wrong")
    try:
        rows = deflate.zlib_decompress(stream, size)
    except deflate.DeflateError as error:
        raise ValueError(f"it does not inflate to {size:,} bytes ({error})") from error
    if len(rows) != size:
        raise ValueError(f"it does not inflate to {size:,} bytes")
    return rows


def _sum_rows(differences: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
    """Undo "up": each row of ``(n, height, width, channels)`` is the sum of those above it, modulo 256."""
    if differences[:, 0].size < LONG_ROW_BYTES:
        np.add.accumulate(differences, axis=1, dtype=np.uint8, out=pixels)
        return
    pixels[:, 0] = differences[:, 0]
    for row in range(1, pixels.shape[1]):
        np.add(pixels[:, row - 1], differences[:, row], out=pixels[:, row])


def _decode_any(record: bytes, index: int) -> NDArray[np.uint8]:
    """Decode any PNG of at most 8 bits a channel: a palette becomes RGB, transparency a channel."""
    try:
        _check_chunks(record)
        with Image.open(io.BytesIO(record), formats=("PNG",)) as image:
            mode = "RGBA" if "transparency" in image.info else _MODES.get(image.mode)
            if mode is None or record[DEPTH_BYTE] > 8:
                raise ValueError("it has more than 8 bits a channel")
            pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ContainerDamaged(f"record {index} is not a PNG that can be read: {error}.") from error
    return pixels.reshape(*pixels.shape[:2], -1)


def _check_chunks(record: bytes) -> None:
    """Raise ValueError unless a record is a whole PNG of at most ``MAX_PIXELS``: Pillow does not check all CRCs."""
    if record[:16] != SIGNATURE + b"\x00\x00\x00\rIHDR":
        raise ValueError("it does not begin as a PNG")
    width, height = struct.unpack_from(">II", record.ljust(24), 16)
    if width * height > MAX_PIXELS:
        raise ValueError(f"{width} x {height} pixels are more than {MAX_PIXELS:,}")
    position, kind = len(SIGNATURE), b""
    while kind != b"IEND":
        (length,) = struct.unpack(">I", record[position : position + 4].rjust(4))
        kind, stop = record[position + 4 : position + 8], position + 8 + length
        if stop + 4 > len(record):
            raise ValueError("it is cut")
        if isal_zlib.crc32(record[position + 4 : stop]) != int.from_bytes(record[stop : stop + 4], "big"):
            raise ValueError(f"the CRC of its chunk {kind!r} is wrong")
        position = stop + 4


def _check_shape(shape: tuple[int, ...], layout: Layout, index: int) -> None:
    if layout.image_shape not in (None, shape):
        raise ContainerDamaged(f"record {index} is an image of {shape}, not of {layout.image_shape}.")


def _grouped(keys: Iterable[T]) -> Iterable[tuple[T, list[int]]]:
    """The different keys, each with the indices at which it is."""
    groups: dict[T, list[int]] = {}
    for index, key in enumerate(keys):
        groups.setdefault(key, []).append(index)
    return groups.items()


def _pieces(indices: Sequence[int], shape: tuple[int, ...]) -> Iterator[Sequence[int]]:
    """Cut ``indices`` so that the images of a piece have about ``PIECE_BYTES``."""
    count = max(1, PIECE_BYTES // math.prod(shape))
    yield from (indices[start : start + count] for start in range(0, len(indices), count))
