"""Pixels as they are; for images of one size, encoding and decoding copy nothing."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from backends.base import Codec
from backends.errors import ContainerDamaged
from backends.images import Images, Records, even_offsets, offsets_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from backends.images import Layout


class Raw(Codec):
    """Rows of pixels, channels interleaved, a byte each."""

    name, suffix = "raw", ".raw"

    def encode(self, images: Images) -> Records:
        pixels = images.pixels
        if isinstance(pixels, np.ndarray):
            count, size = len(pixels), math.prod(pixels.shape[1:])
            return Records(np.ascontiguousarray(pixels).reshape(-1), even_offsets(count, size), images.labels)
        shapes = np.array([image.shape for image in pixels], np.int32).reshape(-1, 3)
        data = np.concatenate([image.reshape(-1) for image in pixels]) if len(pixels) else np.empty(0, np.uint8)
        return Records(data, offsets_of(shapes.prod(axis=1, dtype=np.int64)), images.labels, shapes)

    def decode(self, records: Records, layout: Layout, out: NDArray[np.uint8] | None = None) -> Images:
        if layout.image_shape is None:
            return Images(_mixed(records), records.labels)
        shape = (len(records), *layout.image_shape)
        data = records.data[records.offsets[0] : records.offsets[-1]]
        if len(data) != math.prod(shape):
            raise ContainerDamaged(f"{data.size:,} bytes are not {len(records):,} images of {layout.image_shape}.")
        pixels = data.reshape(shape)
        if out is None:
            return Images(pixels, records.labels)
        if not np.may_share_memory(pixels, out):
            out[...] = pixels
        return Images(out, records.labels)


def _mixed(records: Records) -> Sequence[NDArray[np.uint8]]:
    if records.shapes is None:
        raise ContainerDamaged("raw images of mixed size have no shapes.")
    matches = records.shapes.prod(axis=1, dtype=np.int64) == np.diff(records.offsets)
    matches &= (records.shapes >= 0).all(axis=1)
    if not matches.all():
        index = int(matches.argmin())
        shape = tuple(int(side) for side in records.shapes[index])
        raise ContainerDamaged(f"record {index} has {records.record(index).size:,} bytes, too few or many for {shape}.")
    return [records.record(i).reshape(shape) for i, shape in enumerate(records.shapes.tolist())]
