"""The staged images as trials see them: fetched in bounded batches, with the clock stopped.

Image ``i`` is the staged image ``i`` modulo their number.  Trials read into a buffer that they reuse, since a
mapped file would count as their memory.
"""

from __future__ import annotations

import errno
import math
import os
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from backends.images import Images, Records, even_offsets, offsets_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from numpy.typing import NDArray

BATCH = 1024
"""Images that are fetched, encoded, read or verified at a time, if ``BATCH_BYTES`` allow."""

BATCH_BYTES = 1 << 26
"""Bytes of pixels in a batch, about; a larger image is a batch of its own."""

PIXELS, RECORDS = "pixels.raw", "records.raw"
LABELS, DIGESTS, SHAPES, RECORD_BYTES = "labels.npy", "digests.npy", "shapes.npy", "record_bytes.npy"


def digests_of(pixels: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> NDArray[np.uint64]:
    """The xxh3 digest of each image's shape and pixels, ``(n,)`` uint64."""
    parts: Iterable[memoryview]
    seeds: Iterable[int]
    if isinstance(pixels, np.ndarray) and len(pixels):
        whole, size = np.ascontiguousarray(pixels).reshape(-1).data, pixels[0].size
        parts = (whole[start : start + size] for start in range(0, len(whole), size))
        seeds = repeat(_seed(pixels.shape[1:]))
    else:
        parts = (image.reshape(-1).data for image in pixels)
        seeds = (_seed(image.shape) for image in pixels)
    return np.fromiter(map(xxhash.xxh3_64_intdigest, parts, seeds), np.uint64, len(pixels))


def record_digests(records: Records) -> NDArray[np.uint64]:
    """The xxh3 digest of each record's bytes, ``(n,)`` uint64."""
    found = (xxhash.xxh3_64_intdigest(records.record(i).data) for i in range(len(records)))
    return np.fromiter(found, np.uint64, len(records))


def _seed(shape: tuple[int, ...]) -> int:
    height, width, channels = shape
    return height << 40 | width << 8 | channels


@dataclass(frozen=True, slots=True)
class Source:
    """Attributes
    ----------
    image_shape
        ``(height, width, channels)`` where all staged images have one, else None.
    staged
        The number of distinct images.
    classes
        Names of the classes, by label.
    """

    folder: Path
    image_shape: tuple[int, int, int] | None
    staged: int
    classes: tuple[str, ...]

    def first(self, count: int) -> Source:
        """The source of the first ``count`` images, which has no more to go through than these."""
        return replace(self, staged=min(self.staged, count))

    def ranges(self, start: int, stop: int) -> Iterator[tuple[int, int]]:
        """Images ``start`` to ``stop`` in batches as ``(start, stop)``; none runs over the end of the staged."""
        ends = None if self.image_shape else np.cumsum(self._pixel_bytes())
        fitting = BATCH_BYTES // math.prod(self.image_shape or (1,))
        while start < stop:
            first = start % self.staged
            if ends is not None:
                before = int(ends[first - 1]) if first else 0
                fitting = int(np.searchsorted(ends, before + BATCH_BYTES, side="right")) - first
            size = min(BATCH, stop - start, max(1, fitting), self.staged - first)
            yield start, start + size
            start += size

    def parts(self, rows: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Cut ``rows`` so that the pixels of each part take about ``BATCH_BYTES`` at most."""
        ends = np.cumsum(self.pixel_bytes(rows))
        return np.split(rows, 1 + np.flatnonzero(np.diff((ends - 1) // BATCH_BYTES)))

    def pixel_bytes(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """How many bytes the pixels of each of ``rows`` take, ``(n,)`` int64."""
        sizes = self._pixel_bytes()
        return sizes[rows % len(sizes)]

    def images(self, start: int, stop: int) -> Iterator[Images]:
        """Images ``start`` to ``stop`` in batches; each is valid until the next."""
        shapes = self._load(SHAPES)
        for labels, data, ends, first in self._batches(PIXELS, self._pixel_bytes(), start, stop):
            if self.image_shape is not None:
                yield Images(data.reshape(-1, *self.image_shape), labels)
            else:
                cuts = ends.tolist()
                some = shapes[first : first + len(labels)].tolist()
                mixed = [data[cut:end].reshape(shape) for cut, end, shape in zip(cuts, cuts[1:], some, strict=False)]
                yield Images(mixed, labels)

    def records(self, start: int, stop: int) -> Iterator[Records]:
        """The files' bytes of images ``start`` to ``stop`` in batches; each is valid until the next."""
        for labels, data, ends, _ in self._batches(RECORDS, self._load(RECORD_BYTES), start, stop):
            yield Records(data, ends, labels)

    def digests(self, start: int, stop: int) -> NDArray[np.uint64]:
        """The digests of images ``start`` to ``stop``, ``(n,)`` uint64."""
        found: NDArray[np.uint64] = self._load(DIGESTS)[np.arange(start, stop) % self.staged]
        return found

    def labels(self, start: int, stop: int) -> NDArray[np.int64]:
        """The labels of images ``start`` to ``stop``, ``(n,)`` int64."""
        found: NDArray[np.int64] = self._load(LABELS)[np.arange(start, stop) % self.staged]
        return found

    def _batches(
        self, name: str, sizes: NDArray[np.int64], start: int, stop: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64], int]]:
        """Of each batch the labels, bytes and where the images in them end, and the first staged image."""
        labels, buffer, ends = self.labels(start, stop), np.empty(0, np.uint8), _ends(sizes, self.staged)
        with _opened(self.folder / name) as file:
            for low, high in self.ranges(start, stop):
                first, last = low % self.staged, low % self.staged + high - low
                buffer = _fetch(file, int(ends[first]), int(ends[last]), buffer)
                offsets = ends[first : last + 1] - ends[first]
                yield labels[low - start : high - start], buffer[: offsets[-1]], offsets, first

    def record_ends(self, count: int, codec: str) -> NDArray[np.int64]:
        """Where the first ``count`` images end, laid end to end as pixels (``raw``) or files (``source``).

        ``(count + 1,)`` int64.
        """
        sizes: NDArray[np.int64] = self._load(RECORD_BYTES) if codec == "source" else self._pixel_bytes()
        return offsets_of(np.resize(sizes, count))

    def _load(self, name: str) -> NDArray[Any]:
        """A row for each staged image, or the one for all."""
        found: NDArray[Any] = np.load(self.folder / name, mmap_mode="r")[: self.staged]
        return found

    def _pixel_bytes(self) -> NDArray[np.int64]:
        if self.image_shape is not None:
            return np.full(1, np.prod(self.image_shape, dtype=np.int64))
        sizes: NDArray[np.int64] = self._load(SHAPES).prod(axis=1, dtype=np.int64)
        return sizes


def _ends(sizes: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Offsets ``(count + 1,)`` of things of these sizes, or all of the one size, end to end."""
    if len(sizes) == 1:
        return even_offsets(count, int(sizes[0]))
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(sizes)])


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _fetch(file: int, start: int, stop: int, buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bytes ``start`` to ``stop`` at the front of ``buffer``, or of a larger one."""
    if len(buffer) < stop - start:
        buffer = np.zeros(stop - start, np.uint8)
    view, done = buffer[: stop - start].data, 0
    while done < len(view):
        found = os.preadv(file, [view[done:]], start + done)
        if not found:
            raise OSError(errno.EIO, "the staged images ended early")
        done += found
    return buffer
