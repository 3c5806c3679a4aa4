"""Comparison of the images of a container with digests and labels that were kept of them."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Self

import numpy as np
import xxhash
from numpy.typing import NDArray

from backends.bench.staging import BATCH, hashed
from backends.errors import ContainerDamaged
from backends.images import Images, Records
from backends.stores.plan import Request

CHECK_BYTES = 1 << 24
"""Bytes of pixels that are read back at a time, about: they stay in a processor's cache between steps."""
Tick = Callable[[int, int], None]
"""Takes the images of the shard that were written, and that were read back; may raise to end the work."""


def digests_of(images: Images, records: Records | None) -> NDArray[np.uint8]:
    """The xxh3-128 digest of each image, ``(n, 16)`` uint8: of its record where there are some, else of its pixels.

    A digest of pixels takes the image's shape in.
    """
    if records is not None:
        data, ends = records.data.data, records.offsets.tolist()
        digests = [xxhash.xxh3_128_digest(data[start:stop]) for start, stop in pairwise(ends)]
    else:
        digests = list(map(xxhash.xxh3_128_digest, *hashed(images.pixels)))
    return np.frombuffer(b"".join(digests), np.uint8).reshape(-1, 16)


def check(
    request: Request, path: Path, count: int, digests: NDArray[np.uint8], labels: NDArray[np.int64], tick: Tick
) -> None:
    """Read a container through a new reader and compare it.  Raises ContainerDamaged for the first image that differs.

    ``digests`` and ``labels`` are those of the dataset's images.
    """
    with Comparison(request, path, count) as comparison:
        for part in comparison.parts(count):
            wrong = np.flatnonzero(~comparison.equal(part, digests[part], labels[part]))
            if len(wrong):
                raise ContainerDamaged(
                    f"image {part.start + wrong[0]:,} of {path} is not read as it was written: look after this disk."
                )
            tick(count, min(count, part.stop))


class Comparison:
    """A new reader of a container, and the comparison of its images with digests and labels.

    Raises ContainerDamaged where the container has not ``count`` images.
    """

    def __init__(self, request: Request, path: Path, count: int) -> None:
        self._codec, self._pixels = request.configuration.make_codec(), request.digests_pixels
        self._reader = request.configuration.make_backend().open(path)
        if len(self._reader) != count or len(self._reader.labels) != count:
            self._reader.close()
            raise ContainerDamaged(f"{path} holds {len(self._reader):,} images of {count:,}.")

    def parts(self, count: int) -> Iterator[slice]:
        """The rows in steps of a bounded memory."""
        pixel_bytes = math.prod(self._reader.layout.image_shape or (1 << 20,))  # a megabyte where they differ in size
        step = min(BATCH, max(1, CHECK_BYTES // pixel_bytes))
        return (slice(low, min(count, low + step)) for low in range(0, count, step))

    def equal(
        self, rows: slice | NDArray[np.int64], digests: NDArray[np.uint8], labels: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Which of the rows have these digests and labels, ``(n,)`` bool."""
        records = self._reader.read(rows)
        images = self._codec.decode(records, self._reader.layout) if self._pixels else Images([], records.labels)
        found = digests_of(images, None if self._pixels else records)
        equal: NDArray[np.bool_] = (found == digests).all(axis=1) & (records.labels == labels)
        return equal

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self._reader.close()
