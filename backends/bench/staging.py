"""Decoded images of a plan, staged once in the work folder."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from itertools import repeat
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from backends.bench.disk import ELSEWHERE
from backends.bench.meters import Stopwatch
from backends.errors import DatasetDamaged, NoSpace
from backends.images import Images, Records, even_offsets, offsets_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Any

    from numpy.typing import NDArray

    from backends.datasets.base import Dataset, Decoded, Failure


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


PICTURES = 64
"""Picture files that are decoded at a time: they may be large."""

Tick = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to stage: how many distinct images, drawn by which seed or the first ones, as pixels and as the files'
    own bytes."""

    count: int
    seed: int
    pixels: bool = True
    records: bool = False
    first: bool = False


@dataclass(slots=True)
class Staged:
    """Attributes: ``source`` for the trials, ``seconds`` that reading and decoding the dataset took, and
    ``failures``, the pictures that did not decode."""

    source: Source
    seconds: float
    failures: tuple[Failure, ...] = field(default=())


def stage(dataset: Dataset, wanted: Wanted, folder: Path, tick: Tick) -> Staged:
    """Decode a seeded random sample into ``folder``, which must not exist.

    Parameters
    ----------
    tick
        Called after each batch with the images done and their total; what it raises ends the staging.

    Raises
    ------
    NoSpace
        The filesystem is full.
    DatasetDamaged
        Not one picture decodes.
    """
    folder.mkdir()
    try:
        if dataset.facts().source_bytes is None:
            return _stage_arrays(dataset, wanted, folder, tick)
        return _stage_pictures(dataset, wanted, folder, tick)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):
            raise NoSpace(f"{folder.parent} is full: choose {ELSEWHERE}.") from None
        raise


def _stage_arrays(dataset: Dataset, wanted: Wanted, folder: Path, tick: Tick) -> Staged:
    """Images of one size are decoded in the order of their ids, and put where the sample has them."""
    if dataset.image_shape is None:
        raise DatasetDamaged("the dataset's arrays have different sizes.")
    count, watch = wanted.count, Stopwatch()
    ids = _drawn(dataset, wanted, count)
    order = np.argsort(ids)
    digests, labels = np.empty(count, np.uint64), np.empty(count, np.int64)
    pixels = _allocate(folder / PIXELS, (count, *dataset.image_shape))
    for start in range(0, count, BATCH):
        places = order[start : start + BATCH]
        with watch.phase("read"):
            images = dataset.read(ids[places])
        found = np.ascontiguousarray(images.pixels, np.uint8)
        pixels[places] = found
        digests[places] = digests_of(found)
        labels[places] = images.labels
        tick(start + len(places), count)
    np.save(folder / SHAPES, np.array([dataset.image_shape], np.int32))
    np.save(folder / DIGESTS, digests)
    np.save(folder / LABELS, labels)
    return Staged(Source(folder, dataset.image_shape, count, dataset.classes), watch.total)


def _drawn(dataset: Dataset, wanted: Wanted, count: int) -> NDArray[np.int64]:
    """The ids of ``count`` images: the first, or a seeded random sample."""
    if wanted.first:
        return np.arange(count, dtype=np.int64)
    return np.random.default_rng(wanted.seed).choice(dataset.count, size=count, replace=False)


def _stage_pictures(dataset: Dataset, wanted: Wanted, folder: Path, tick: Tick) -> Staged:
    """Pictures are decoded in the order of the sample; for one that does not decode the next is drawn."""
    watch = Stopwatch()
    drawn = _drawn(dataset, wanted, min(dataset.count, wanted.count + wanted.count // 10 + 1000))
    columns: list[tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int32], NDArray[np.int64]]] = []
    failures: list[Failure] = []
    done = position = 0
    with (folder / PIXELS).open("xb") as pixels, (folder / RECORDS).open("xb") as records:
        while done < wanted.count and position < len(drawn):
            some = drawn[position : position + min(PICTURES, wanted.count - done)]
            position += len(some)
            with watch.phase("read"):
                found = dataset.decode(some, source=wanted.records)
            failures += found.failures
            if wanted.pixels:
                for image in found.images.pixels:
                    pixels.write(np.ascontiguousarray(image).data)
            if found.source is not None:
                records.write(found.source.data.data)
            columns.append(_columns(found))
            done += len(found.ids)
            tick(done, wanted.count)
    if not done:
        why = f"{failures[0].name}: {failures[0].why}" if failures else "it is empty"
        raise DatasetDamaged(f"no picture of the dataset decodes ({why}).")
    labels, digests, shapes, sizes = (np.concatenate(column) for column in zip(*columns, strict=True))
    one_size = bool((shapes == shapes[0]).all())
    np.save(folder / SHAPES, shapes[:1] if one_size else shapes)
    np.save(folder / DIGESTS, digests)
    np.save(folder / LABELS, labels)
    np.save(folder / RECORD_BYTES, sizes)
    height, width, channels = (int(side) for side in shapes[0])
    shape = (height, width, channels) if one_size else None
    return Staged(Source(folder, shape, done, dataset.classes), watch.total, tuple(failures))


def _columns(
    found: Decoded,
) -> tuple[NDArray[np.int64], NDArray[np.uint64], NDArray[np.int32], NDArray[np.int64]]:
    pixels = found.images.pixels
    shapes = np.array([image.shape for image in pixels], np.int32).reshape(-1, 3)
    sizes = np.diff(found.source.offsets) if found.source is not None else np.empty(0, np.int64)
    return found.images.labels, digests_of(pixels), shapes, sizes


def _allocate(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A mapped file whose blocks exist, so that a full disk is an error here and not a fault later."""
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
    try:
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(descriptor, 0, int(np.prod(shape)))
        else:
            os.ftruncate(descriptor, int(np.prod(shape)))
    finally:
        os.close(descriptor)
    return np.memmap(path, np.uint8, "r+", shape=shape)
