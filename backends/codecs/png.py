"""PNG, lossless."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from backends.base import Codec
from backends.errors import ContainerDamaged
from backends.images import Images, Records

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backends.images import Layout


class Png(Codec):
    """PNG, 8 bits a channel: grey, RGB, RGBA."""

    name, suffix = "png", ".png"

    def encode(self, images: Images) -> Records:
        found = [_encode(image) for image in images.pixels]
        offsets = np.zeros(len(found) + 1, np.int64)
        np.cumsum([len(record) for record in found], out=offsets[1:])
        return Records(np.frombuffer(b"".join(found), np.uint8), offsets, images.labels)

    def decode(self, records: Records, layout: Layout, out: NDArray[np.uint8] | None = None) -> Images:
        found = [_decode(records.record(index), index) for index in range(len(records))]
        if layout.image_shape is None:
            return Images(found, records.labels)
        if out is None:
            out = np.empty((len(found), *layout.image_shape), np.uint8)
        for index, image in enumerate(found):
            if image.shape != layout.image_shape:
                raise ContainerDamaged(f"record {index} is an image of {image.shape}, not {layout.image_shape}.")
            out[index] = image
        return Images(out, records.labels)


def _encode(image: NDArray[np.uint8]) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(image[:, :, 0] if image.shape[2] == 1 else image).save(stream, "PNG", compress_level=1)
    return stream.getvalue()


def _decode(record: NDArray[np.uint8], index: int) -> NDArray[np.uint8]:
    try:
        with Image.open(io.BytesIO(record.tobytes()), formats=("PNG",)) as image:
            pixels = np.asarray(image)
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ContainerDamaged(f"record {index} is not a whole PNG ({error}).") from error
    return pixels.reshape(*pixels.shape[:2], -1)
