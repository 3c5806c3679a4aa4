"""PNG, lossless: a batch at a time for files as we write them, Pillow for all others.

What makes it fast: the rows of all images of a batch are filtered at once, each minus the row above it ("up"), and
deflated by ISA-L.  Reading back is inflating by libdeflate, then one cumulative sum over the batch.  "Sub" makes
records 2 % smaller, but its sums take five times as long for small images.
"""

from __future__ import annotations

import io
import math
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from PIL import Image

from backends.base import Codec
from backends.codecs.png_format import (
    AFTER_STREAM,
    BEFORE_STREAM,
    DEPTH_BYTE,
    check_chunks,
    compress,
    find_plain,
    head_of,
    inflate,
    shape_of,
    wrap,
)
from backends.errors import ContainerDamaged
from backends.images import Images, Records
from backends.options import PngOptions

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from numpy.typing import NDArray

    from backends.images import Layout

Kind = TypeVar("Kind")

PIECE_BYTES = 1 << 20
"""Pixels that are filtered at once: what fits a processor's cache, and bounds the memory for large images."""
_UP = 2
LONG_ROW_BYTES = 192
"""From here on, adding row by row is faster than accumulating."""
_MODES = {"L": "L", "RGB": "RGB", "RGBA": "RGBA", "1": "L", "LA": "RGBA", "P": "RGB"}
"""Modes of Pillow, and those to which they convert without loss."""
_NO_PIXELS = np.empty((0, 0, 1), np.uint8)


class Png(Codec):
    """PNG with 8 bits a channel: grey, RGB or RGBA."""

    name, suffix = "png", ".png"

    def encode(self, images: Images) -> Records:
        level = self.options.level if isinstance(self.options, PngOptions) else PngOptions().level
        pixels = images.pixels
        heads: list[bytes] = [b""] * len(images)
        streams: list[bytes | bytearray] = [b""] * len(images)
        for shape, indices in _by_shape(pixels):
            head = head_of(*shape)
            for piece in _pieces(indices, shape):
                rows = _filtered(_stack(pixels, piece))
                size, view = rows.shape[1], rows.reshape(-1).data
                for number, index in enumerate(piece):
                    heads[index] = head
                    streams[index] = compress(view[number * size : number * size + size], level)
        return Records(*wrap(heads, streams), images.labels)

    def decode(self, records: Records, layout: Layout, out: NDArray[np.uint8] | None = None) -> Images:
        images: NDArray[np.uint8] | list[NDArray[np.uint8]]
        if layout.image_shape is None:
            images = [_NO_PIXELS] * len(records)
        else:
            images = np.empty((len(records), *layout.image_shape), np.uint8) if out is None else out
        data, ends = records.data.data, records.offsets.tolist()
        heads, crcs = find_plain(data, ends)
        others: list[int] = []
        for head, indices in _grouped(heads):
            shape = shape_of(head) if head else None
            if shape is None:
                others += indices
                continue
            _check_shape(shape, layout, indices[0])
            for piece in _pieces(indices, shape):
                others += _decode_plain(data, ends, crcs, piece, shape, images)
        for index in sorted(others):
            pixels = _decode_any(records.record(index).tobytes(), index)
            _check_shape(pixels.shape, layout, index)
            images[index] = pixels
        return Images(images, records.labels)


def _filtered(pixels: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The rows of ``(n, ...)`` pixels as "up" filters them, each behind its filter type: ``(n, bytes of rows)``."""
    count, height, width, channels = pixels.shape
    flat = pixels.reshape(count, height, width * channels)
    rows = np.empty((count, height, 1 + width * channels), np.uint8)
    rows[:, :, 0] = _UP
    rows[:, 0, 1:] = flat[:, 0]
    np.subtract(flat[:, 1:], flat[:, :-1], out=rows[:, 1:, 1:])
    return rows.reshape(count, -1)


def _decode_plain(
    data: memoryview,
    ends: list[int],
    crcs: list[int],
    indices: Sequence[int],
    shape: tuple[int, int, int],
    images: NDArray[np.uint8] | list[NDArray[np.uint8]],
) -> list[int]:
    """Decode plain records of one shape into ``images``; return the indices of those whose rows need other filters."""
    height, width, channels = shape
    size = height * (1 + width * channels)
    found = []
    for index in indices:
        try:
            found.append(inflate(data[ends[index] + BEFORE_STREAM : ends[index + 1] - AFTER_STREAM], crcs[index], size))
        except ValueError as error:
            raise ContainerDamaged(f"record {index} is not a whole PNG: {error}.") from error
    joined = b"".join(found)
    lines = np.frombuffer(joined, np.uint8).reshape(-1, height, 1 + width * channels)
    differences = lines[:, :, 1:].reshape(-1, *shape)
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
    return [indices[number] for number in np.flatnonzero((lines[:, :, 0] != _UP).any(axis=1)).tolist()]


def _sum_rows(differences: NDArray[np.uint8], pixels: NDArray[np.uint8]) -> None:
    """Undo "up": each row of ``(n, height, width, channels)`` is the sum of those above it, modulo 256."""
    if differences[:, 0].size < LONG_ROW_BYTES:
        np.add.accumulate(differences, axis=1, dtype=np.uint8, out=pixels)
        return
    pixels[:, 0] = differences[:, 0]
    for row in range(1, pixels.shape[1]):
        np.add(pixels[:, row - 1], differences[:, row], out=pixels[:, row])


def _decode_any(record: bytes, index: int) -> NDArray[np.uint8]:
    """Decode any PNG of at most 8 bits a channel: palettes become RGB, transparency becomes a channel."""
    try:
        check_chunks(record)
        with Image.open(io.BytesIO(record), formats=("PNG",)) as image:
            mode = "RGBA" if "transparency" in image.info else _MODES.get(image.mode)
            if mode is None or record[DEPTH_BYTE] > 8:
                raise ValueError("it has more than 8 bits a channel")
            pixels = np.asarray(image if image.mode == mode else image.convert(mode))
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ContainerDamaged(f"record {index} is not a PNG that can be read: {error}.") from error
    return pixels.reshape(*pixels.shape[:2], -1)


def _check_shape(shape: tuple[int, ...], layout: Layout, index: int) -> None:
    if layout.image_shape not in (None, shape):
        raise ContainerDamaged(f"record {index} is an image of {shape}, not of {layout.image_shape}.")


def _by_shape(
    pixels: NDArray[np.uint8] | Sequence[NDArray[np.uint8]],
) -> Iterator[tuple[tuple[int, ...], Sequence[int]]]:
    """The shapes that there are, each with the indices of its images."""
    if isinstance(pixels, np.ndarray):
        yield pixels.shape[1:], range(len(pixels))
        return
    yield from _grouped(image.shape for image in pixels)


def _grouped(kinds: Iterable[Kind]) -> Iterable[tuple[Kind, list[int]]]:
    """The kinds that there are, each with the indices at which it is."""
    groups: dict[Kind, list[int]] = {}
    for index, kind in enumerate(kinds):
        groups.setdefault(kind, []).append(index)
    return groups.items()


def _pieces(indices: Sequence[int], shape: tuple[int, ...]) -> Iterator[Sequence[int]]:
    """Cut ``indices`` so that the images of a piece have about ``PIECE_BYTES``."""
    some = max(1, PIECE_BYTES // math.prod(shape))
    yield from (indices[start : start + some] for start in range(0, len(indices), some))


def _stack(pixels: NDArray[np.uint8] | Sequence[NDArray[np.uint8]], indices: Sequence[int]) -> NDArray[np.uint8]:
    if isinstance(pixels, np.ndarray):
        return pixels[indices[0] : indices[-1] + 1]
    return np.stack([pixels[index] for index in indices])
