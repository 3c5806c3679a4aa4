"""The bytes of picture files as they are: nothing is encoded, and every format that datasets may have is decoded."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backends.base import Codec
from backends.codecs.pictures import HEAD_BYTES, decode_picture, format_of
from backends.errors import ContainerDamaged, PictureDamaged, UsageError
from backends.images import Images

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backends.images import Layout, Records

_SUFFIXES = {"JPEG": ".jpg", "PNG": ".png", "BMP": ".bmp", "WebP": ".webp"}


class Source(Codec):
    """Picture files; the first bytes of each say its format."""

    name, suffix = "source", ""

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
    """Decode records that are picture files, as ``Codec.decode`` does."""
    pixels: NDArray[np.uint8] | list[NDArray[np.uint8]]
    if layout.image_shape is None:
        pixels = [np.empty((0, 0, 1), np.uint8)] * len(records)
    else:
        pixels = np.empty((len(records), *layout.image_shape), np.uint8) if out is None else out
    for index in range(len(records)):
        try:
            found = decode_picture(records.record(index)).pixels
        except PictureDamaged as error:
            raise ContainerDamaged(f"record {index} is not the picture that was stored: {error}.") from error
        if layout.image_shape not in (None, found.shape):
            raise ContainerDamaged(f"record {index} is an image of {found.shape}, not of {layout.image_shape}.")
        pixels[index] = found
    return Images(pixels, records.labels)
