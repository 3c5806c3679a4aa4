"""The bytes of picture files as they are: nothing is encoded, and every format that datasets may have is decoded."""

from __future__ import annotations

import math
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from backends.base import Codec
from backends.codecs.pictures import HEAD_BYTES, decode_picture, format_of, jpeg_bytes
from backends.errors import ContainerDamaged, PictureDamaged, UsageError
from backends.images import Images, offsets_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from backends.images import Layout, Records

MAX_SPACE_BYTES = 1 << 30
"""More is not believed to be in a batch before it is decoded."""
_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "WebP": ".webp"}


class Source(Codec):
    """Picture files; the first bytes of each say its format."""

    name, suffix, fills_room = "source", "", True

    def suffix_of(self, record: NDArray[np.uint8]) -> str:
        """Raises ValueError where the record is no picture."""
        format_ = format_of(record[:HEAD_BYTES].tobytes())
        if format_ is None:
            raise ValueError("source keeps JPEG, PNG, BMP and WebP files; a record is none of them.")
        return _SUFFIXES[format_]

    def encode(self, images: Images) -> Records:
        raise UsageError("source passes files through; there is nothing to encode: choose png, or raw.")

    def decode(self, records: Records, layout: Layout, out: NDArray[np.uint8] | None = None) -> Images:
        return decode_pictures(records, layout, out)


def decode_pictures(records: Records, layout: Layout, out: NDArray[np.uint8] | None) -> Images:
    """Decode records that are picture files, as ``Codec.decode`` does.

    JPEGs of mixed size go into one array, ``out`` where it has room: to get memory for each alone can take as long
    as decoding it.
    """
    pixels: NDArray[np.uint8] | list[NDArray[np.uint8]]
    places: Iterable[NDArray[np.uint8] | None] = repeat(None)
    if layout.image_shape is None:
        pixels = [np.empty((0, 0, 1), np.uint8)] * len(records)
        ends = offsets_of([jpeg_bytes(records.record(index)) for index in range(len(records))])
        if ends[-1] <= MAX_SPACE_BYTES:
            room = np.empty(ends[-1], np.uint8) if out is None or len(out) < ends[-1] else out
            places = np.split(room[: ends[-1]], ends[1:-1])
    else:
        pixels = np.empty((len(records), *layout.image_shape), np.uint8) if out is None else out
        if pixels.flags.c_contiguous:
            places = pixels.reshape(len(records), math.prod(layout.image_shape))
    for index, place in zip(range(len(records)), places, strict=False):
        try:
            found = decode_picture(records.record(index), place).pixels
        except PictureDamaged as error:
            raise ContainerDamaged(f"record {index} is not the picture that was stored: {error}.") from error
        if layout.image_shape not in (None, found.shape):
            raise ContainerDamaged(f"record {index} is an image of {found.shape}, not of {layout.image_shape}.")
        if isinstance(pixels, list) or place is None or not np.may_share_memory(found, place):
            pixels[index] = found
    return Images(pixels, records.labels)
