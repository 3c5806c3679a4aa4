"""JPEG, lossy: grey, or RGB in 4:2:0, by libjpeg-turbo."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import simplejpeg

from backends.base import Codec, JpegOptions
from backends.codecs.source import decode_pictures
from backends.errors import UsageError
from backends.images import join_records

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backends.images import Images, Layout, Records

MAX_SIDE = 65_500
"""The limit of libjpeg."""
_SPACES = {1: "GRAY", 3: "RGB"}


class Jpeg(Codec):
    """JPEG with 8 bits a channel: grey or RGB."""

    name, lossless, suffix, fills_room = "jpeg", False, ".jpg", True

    def encode(self, images: Images) -> Records:
        """Raises UsageError for images that are not grey or RGB, or have a side that JPEG does not allow."""
        quality = self.options.quality if isinstance(self.options, JpegOptions) else JpegOptions().quality
        return join_records([_encode(image, quality) for image in images.pixels], images.labels)

    def decode(self, records: Records, layout: Layout, out: NDArray[np.uint8] | None = None) -> Images:
        return decode_pictures(records, layout, out)


def _encode(image: NDArray[np.uint8], quality: int) -> bytes:
    height, width, channels = image.shape
    if channels not in _SPACES or not 0 < min(height, width) <= max(height, width) <= MAX_SIDE:
        raise UsageError(
            f"jpeg keeps grey and RGB images of up to {MAX_SIDE:,} pixels a side, not {image.shape}: choose png or raw."
        )
    file: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(image), quality, _SPACES[channels], colorsubsampling="420" if channels == 3 else "Gray"
    )
    return file
