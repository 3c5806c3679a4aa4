"""Picture files as they are: they are decoded, and nothing is encoded."""

from __future__ import annotations

import math
from itertools import repeat
from typing import TYPE_CHECKING

import numpy as np

from backends.base import Codec
from backends.codecs.pictures import FORMATS, HEAD_BYTES, decode_picture, format_of, jpeg_bytes
from backends.errors import ContainerDamaged, PictureDamaged, UsageError
from backends.images import Images, offsets_of

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from backends.images import Layout, Records

MAX_BUFFER_BYTES = 1 << 30
"""Headers of a batch that promise more pixels than this are not trusted with a buffer."""
_SUFFIXES = {"JPEG": ".jpg", "TIFF": ".tif"}  # of others, the name of the format


class Source(Codec):
    """The bytes of picture files, whose formats are told by their first bytes."""

    name, suffix, fills_room = "source", "", True

    def suffix_of(self, record: NDArray[np.uint8]) -> str:
        """Ending of a file for this record.  Raises ValueError if it is not a picture."""
        format_ = format_of(record[:HEAD_BYTES].tobytes())
        if format_ is None:
            raise ValueError(f"source keeps {FORMATS} files, and this record is none of them.")
        return _SUFFIXES.get(format_, f".{format_.lower()}")

    def encode(self, images: Images) -> Records:
        raise UsageError("source passes files through; there is nothing to encode: choose png, or raw.")

    def decode(self, records: Records, layout: Layout, out: NDArray[np.uint8] | None = None) -> Images:
        return decode_pictures(records, layout, out)


def decode_pictures(records: Records, layout: Layout, out: NDArray[np.uint8] | None) -> Images:
    """Decode records that are picture files, as ``Codec.decode`` does.

    JPEGs of mixed size are decoded into one buffer, ``out`` if it is large enough, as allocating memory for each image
    can take as long as decoding it.
    """
    pixels = allocate(len(records), layout, out)
    buffers: Iterable[NDArray[np.uint8] | None] = repeat(None)
    if isinstance(pixels, list):
        ends = offsets_of([jpeg_bytes(records.record(index)) for index in range(len(records))])
        if ends[-1] <= MAX_BUFFER_BYTES:
            buffer = np.empty(ends[-1], np.uint8) if out is None or len(out) < ends[-1] else out
            buffers = np.split(buffer[: ends[-1]], ends[1:-1])
    elif pixels.flags.c_contiguous:
        buffers = pixels.reshape(len(records), math.prod(pixels.shape[1:]))
    for index, room in zip(range(len(records)), buffers, strict=False):
        try:
            image = decode_picture(records.record(index), room)
        except PictureDamaged as error:
            raise ContainerDamaged(f"record {index} is not the picture that was stored: {error}.") from error
        check_shape(image.shape, layout, index)
        if isinstance(pixels, list) or room is None or not np.may_share_memory(image, room):
            pixels[index] = image
    return Images(pixels, records.labels)


def allocate(count: int, layout: Layout, out: NDArray[np.uint8] | None) -> NDArray[np.uint8] | list[NDArray[np.uint8]]:
    """Where to put decoded images: ``out`` if there is one, or a new array; a list for images of mixed size."""
    if layout.image_shape is None:
        return [np.empty((0, 0, 1), np.uint8)] * count
    return np.empty((count, *layout.image_shape), np.uint8) if out is None else out


def check_shape(shape: tuple[int, ...], layout: Layout, index: int) -> None:
    """Raise ContainerDamaged for a record that is not an image of the layout's shape."""
    if layout.image_shape not in (None, shape):
        raise ContainerDamaged(f"record {index} is an image of {shape}, not of {layout.image_shape}.")
