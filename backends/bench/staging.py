"""The images of a plan, decoded once by the job, and fetched by trials with the clock stopped.

The pixels lie in one file in the order in which trials use them; trials read it into a buffer that they reuse,
since a mapped source would count as their memory.
"""

from __future__ import annotations

import errno
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from backends.errors import NoSpace, UsageError
from backends.images import Images

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

    from backends.datasets.base import Dataset

BATCH = 1024
"""Images that are fetched, encoded, read or verified at a time."""

_PIXELS, _DIGESTS, _LABELS = "pixels.raw", "digests.npy", "labels.npy"


def digests_of(pixels: NDArray[np.uint8]) -> NDArray[np.uint64]:
    """The xxh3 digest of each of ``(n, h, w, c)`` C-contiguous pixels, ``(n,)`` uint64."""
    size = pixels[0].size if len(pixels) else 0
    flat = pixels.reshape(-1).data
    rows = (xxhash.xxh3_64_intdigest(flat[i * size : (i + 1) * size]) for i in range(len(pixels)))
    return np.fromiter(rows, np.uint64, len(pixels))


def fit_sizes(sizes: tuple[int, ...], count: int, record_bytes: int, memory: int) -> tuple[int, ...]:
    """The sizes whose distinct images, at most ``count``, take no more than ``memory`` bytes staged.

    A size that does not fit is shrunk to the largest that does.
    """
    most = max(1, memory // record_bytes)
    if min(max(sizes), count) <= most:
        return sizes
    return tuple(sorted({min(size, most) for size in sizes}))


@dataclass(frozen=True, slots=True)
class Source:
    """Staged images, as trials see them: image ``i`` is the staged image ``i`` modulo their number.

    Attributes
    ----------
    image_shape
        ``(height, width, channels)`` of every image.
    staged
        The number of distinct images.
    classes
        Names of the classes, by label.
    """

    folder: Path
    image_shape: tuple[int, int, int]
    staged: int
    classes: tuple[str, ...]

    def batches(self, count: int, batch: int = BATCH) -> Iterator[Images]:
        """The first ``count`` images in batches that share one buffer: each is valid until the next."""
        labels = self.labels(count)
        record = int(np.prod(self.image_shape))
        buffer = np.zeros((min(batch, count, self.staged), *self.image_shape), np.uint8)
        descriptor = os.open(self.folder / _PIXELS, os.O_RDONLY)
        try:
            start = 0
            while start < count:
                first = start % self.staged
                size = min(batch, count - start, self.staged - first)
                _read_full(descriptor, buffer[:size].reshape(-1).data, first * record)
                yield Images(buffer[:size], labels[start : start + size])
                start += size
        finally:
            os.close(descriptor)

    def digests(self, count: int) -> NDArray[np.uint64]:
        """The digests of the first ``count`` images, ``(count,)`` uint64."""
        return np.resize(np.load(self.folder / _DIGESTS), count)

    def labels(self, count: int) -> NDArray[np.int64]:
        """The labels of the first ``count`` images, ``(count,)`` int64."""
        return np.resize(np.load(self.folder / _LABELS), count)


def stage(
    dataset: Dataset, count: int, seed: int, folder: Path, tick: Callable[[int, int], None], *, batch: int = BATCH
) -> Source:
    """Decode a seeded random sample of ``count`` images into ``folder``, which must not exist.

    Parameters
    ----------
    tick
        Called after each batch with the images done and their total; what it raises ends the staging.

    Raises
    ------
    UsageError
        The images have different sizes.
    NoSpace
        The filesystem is full.
    """
    if dataset.image_shape is None:
        raise UsageError("images of mixed sizes cannot be measured by this version.")
    folder.mkdir()
    ids = np.random.default_rng(seed).choice(dataset.count, size=count, replace=False)
    order = np.argsort(ids)
    digests = np.empty(count, np.uint64)
    labels = np.empty(count, np.int64)
    pixels = _allocate(folder / _PIXELS, (count, *dataset.image_shape))
    for start in range(0, count, batch):
        places = order[start : start + batch]
        images = dataset.read(ids[places])
        found = np.ascontiguousarray(images.pixels, np.uint8)
        pixels[places] = found
        digests[places] = digests_of(found)
        labels[places] = images.labels
        tick(start + len(places), count)
    np.save(folder / _DIGESTS, digests)
    np.save(folder / _LABELS, labels)
    return Source(folder, dataset.image_shape, count, dataset.classes)


def _allocate(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A mapped file whose blocks exist, so that a full disk is an error here and not a fault later."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, int(np.prod(shape)))
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(f"{path.parent} is full: choose another folder with --work-dir.") from None
        raise
    finally:
        os.close(descriptor)
    return np.memmap(path, np.uint8, "r+", shape=shape)


def _read_full(descriptor: int, view: memoryview, offset: int) -> None:
    done = 0
    while done < len(view):
        found = os.preadv(descriptor, [view[done:]], offset + done)
        if not found:
            raise OSError(errno.EIO, "the staged images ended early")
        done += found
