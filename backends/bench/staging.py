"""Decoded images of a plan, staged once in the work folder: how they are put there, and how trials fetch them."""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from io import FileIO
from itertools import repeat
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from backends.bench.disk import ELSEWHERE
from backends.bench.meters import Stopwatch
from backends.codecs.pictures import MEMORY
from backends.datasets.base import Dataset, Failure
from backends.errors import DatasetDamaged, NoSpace
from backends.images import Images, Records, even_offsets, offsets_of

Tick = Callable[[int, int], None]

BATCH = 1024  # images that are fetched, encoded, read or verified at a time, if ``BATCH_BYTES`` allow
BATCH_BYTES = 1 << 26  # bytes of pixels in a batch, about; a larger image is a batch of its own
PICTURES = 64  # picture files that are decoded at a time: they may be large
_SPARE_PICTURES = 1000  # how many pictures more than needed, and a tenth, are drawn, for those that do not decode

PIXELS, RECORDS = "pixels.raw", "records.raw"
LABELS, DIGESTS, SHAPES, RECORD_BYTES = "labels.npy", "digests.npy", "shapes.npy", "record_bytes.npy"
RECORD_DIGESTS = "record_digests.npy"


def digests_of(pixels: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> NDArray[np.uint64]:
    """The xxh3 digest of each image's shape and pixels, ``(n,)`` uint64."""
    return np.fromiter(map(xxhash.xxh3_64_intdigest, *hashed(pixels)), np.uint64, len(pixels))


def hashed(pixels: NDArray[np.uint8] | Sequence[NDArray[np.uint8]]) -> tuple[Iterable[memoryview], Iterable[int]]:
    """What digests of images are made of: the bytes of each, and a seed that is another one for another shape."""
    if isinstance(pixels, np.ndarray) and len(pixels):
        whole, size = np.ascontiguousarray(pixels).reshape(-1).data, pixels[0].size
        parts = (whole[start : start + size] for start in range(0, len(whole), size))
        return parts, repeat(_seed(pixels.shape[1:]))
    return (image.reshape(-1).data for image in pixels), (_seed(image.shape) for image in pixels)


def record_digests(records: Records) -> NDArray[np.uint64]:
    """The xxh3 digest of each record's bytes, ``(n,)`` uint64."""
    digests = (xxhash.xxh3_64_intdigest(records.record(i).data) for i in range(len(records)))
    return np.fromiter(digests, np.uint64, len(records))


def _seed(shape: tuple[int, ...]) -> int:
    height, width, channels = shape
    return height << 40 | width << 8 | channels


@dataclass(frozen=True, slots=True)
class Source:
    """The staged images; images beyond their number are the first ones again."""

    folder: Path
    image_shape: tuple[int, int, int] | None  # (height, width, channels) where all staged images have one
    staged: int  # distinct images
    classes: tuple[str, ...]  # names by label

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
        for labels, data, offsets, first in self._batches(PIXELS, self._pixel_bytes(), start, stop):
            if self.image_shape is not None:
                yield Images(data.reshape(-1, *self.image_shape), labels)
            else:
                parts = np.split(data, offsets[1:-1])
                shaped = zip(parts, shapes[first : first + len(labels)].tolist(), strict=True)
                yield Images([part.reshape(shape) for part, shape in shaped], labels)

    def records(self, start: int, stop: int) -> Iterator[Records]:
        """The files' bytes of images ``start`` to ``stop`` in batches; each is valid until the next."""
        for labels, data, offsets, _ in self._batches(RECORDS, self._load(RECORD_BYTES), start, stop):
            yield Records(data, offsets, labels)

    def digests(self, start: int, stop: int, name: str = DIGESTS) -> NDArray[np.uint64]:
        """The digests of images ``start`` to ``stop``, or of their files (``RECORD_DIGESTS``), ``(n,)`` uint64."""
        digests: NDArray[np.uint64] = self._load(name)[np.arange(start, stop) % self.staged]
        return digests

    def shapes(self, rows: NDArray[np.int64]) -> NDArray[np.int32]:
        """The shapes of images of mixed sizes, ``(n, 3)`` int32."""
        shapes: NDArray[np.int32] = self._load(SHAPES)[rows % self.staged]
        return shapes

    def labels(self, start: int, stop: int) -> NDArray[np.int64]:
        """The labels of images ``start`` to ``stop``, ``(n,)`` int64."""
        labels: NDArray[np.int64] = self._load(LABELS)[np.arange(start, stop) % self.staged]
        return labels

    def record_ends(self, count: int, codec: str) -> NDArray[np.int64]:
        """Where the first ``count`` images end as pixels (``raw``) or files (``source``), ``(count + 1,)`` int64."""
        sizes: NDArray[np.int64] = self._load(RECORD_BYTES) if codec == "source" else self._pixel_bytes()
        return offsets_of(np.resize(sizes, count))

    def _batches(
        self, name: str, sizes: NDArray[np.int64], start: int, stop: int
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.uint8], NDArray[np.int64], int]]:
        """Labels, bytes and offsets of each batch, and its first staged image."""
        ends = even_offsets(self.staged, int(sizes[0])) if len(sizes) == 1 else offsets_of(sizes)
        labels, buffer = self.labels(start, stop), np.empty(0, np.uint8)
        with (self.folder / name).open("rb", buffering=0) as file:
            for low, high in self.ranges(start, stop):
                first = low % self.staged
                offsets = ends[first : first + high - low + 1]
                buffer = _fetch(file, int(offsets[0]), int(offsets[-1]), buffer)
                offsets = offsets - offsets[0]
                yield labels[low - start : high - start], buffer[: offsets[-1]], offsets, first

    def _load(self, name: str) -> NDArray[Any]:
        """A row for each staged image, or a single one for all."""
        rows: NDArray[Any] = np.load(self.folder / name, mmap_mode="r")[: self.staged]
        return rows

    def _pixel_bytes(self) -> NDArray[np.int64]:
        if self.image_shape is not None:
            return np.full(1, np.prod(self.image_shape, dtype=np.int64))
        sizes: NDArray[np.int64] = self._load(SHAPES).prod(axis=1, dtype=np.int64)
        return sizes


def _fetch(file: FileIO, start: int, stop: int, buffer: NDArray[np.uint8]) -> NDArray[np.uint8]:
    """Bytes ``start`` to ``stop`` at the front of ``buffer``, or of a larger one."""
    if len(buffer) < stop - start:
        buffer = np.zeros(stop - start, np.uint8)
    file.seek(start)
    view = buffer[: stop - start].data
    while view:  # a read of more than 2 GiB comes in parts
        size = file.readinto(view)
        if not size:
            raise OSError(errno.EIO, "the staged images ended early")
        view = view[size:]
    return buffer


@dataclass(frozen=True, slots=True)
class Wanted:
    """What to stage."""

    count: int  # distinct images
    seed: int
    pixels: bool = True
    records: bool = False  # the files' own bytes
    first: bool = False  # the first images instead of a random sample
    memory: int = MEMORY  # for the pixels of one picture

    def draw(self, dataset: Dataset, spare: int = 0) -> NDArray[np.int64]:
        """The ids of the images and of as many ``spare`` ones as there are."""
        count = min(dataset.count, self.count + spare)
        if self.first:
            return np.arange(count, dtype=np.int64)
        return np.random.default_rng(self.seed).choice(dataset.count, size=count, replace=False)


@dataclass(frozen=True, slots=True)
class Staged:
    """What staging made."""

    source: Source
    seconds: float  # reading and decoding the dataset
    failures: tuple[Failure, ...] = ()  # pictures that did not decode


def stage(dataset: Dataset, wanted: Wanted, folder: Path, tick: Tick) -> Staged:
    """Decode a seeded random sample into ``folder``, which must not exist.

    ``tick`` is called after each batch with the images done and their total; what it raises ends the staging.  Raises
    NoSpace where the filesystem is full, DatasetDamaged where not one picture decodes.
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
    shape = dataset.image_shape
    if shape is None:
        raise DatasetDamaged("the dataset's arrays have different sizes.")
    count, watch = wanted.count, Stopwatch()
    ids = wanted.draw(dataset)
    order = np.argsort(ids)
    digests, labels = np.empty(count, np.uint64), np.empty(count, np.int64)
    pixels = _allocate(folder / PIXELS, (count, *shape))
    for start in range(0, count, BATCH):
        rows = order[start : start + BATCH]
        with watch.phase("read"):
            images = dataset.read(ids[rows])
        batch = np.ascontiguousarray(images.pixels, np.uint8)
        pixels[rows], digests[rows], labels[rows] = batch, digests_of(batch), images.labels
        tick(start + len(rows), count)
    _save(folder, {LABELS: labels, DIGESTS: digests, SHAPES: np.array([shape], np.int32)})
    return Staged(Source(folder, shape, count, dataset.classes), watch.total)


def _stage_pictures(dataset: Dataset, wanted: Wanted, folder: Path, tick: Tick) -> Staged:
    """Pictures are decoded in the order of the sample; for one that does not decode the next is drawn."""
    watch = Stopwatch()
    ids = wanted.draw(dataset, wanted.count // 10 + _SPARE_PICTURES)
    columns: list[tuple[NDArray[Any], ...]] = []
    failures: list[Failure] = []
    done = position = 0
    with (folder / PIXELS).open("xb") as pixels, (folder / RECORDS).open("xb") as records:
        while done < wanted.count and position < len(ids):
            batch = ids[position : position + min(PICTURES, wanted.count - done)]
            with watch.phase("read"):
                decoded = dataset.decode(batch, source=wanted.records, memory=wanted.memory)
            position += len(decoded.ids) + len(decoded.failures)
            failures += decoded.failures
            images, sizes, of_files = decoded.images.pixels, np.empty(0, np.int64), np.empty(0, np.uint64)
            if wanted.pixels:
                for image in images:
                    pixels.write(np.ascontiguousarray(image).data)
            if decoded.source is not None:
                records.write(decoded.source.data.data)
                sizes, of_files = np.diff(decoded.source.offsets), record_digests(decoded.source)
            shapes = np.array([image.shape for image in images], np.int32).reshape(-1, 3)
            columns.append((decoded.images.labels, digests_of(images), shapes, sizes, of_files))
            done += len(decoded.ids)
            tick(done, wanted.count)
    if not done:
        why = f"{failures[0].name}: {failures[0].why}" if failures else "it is empty"
        raise DatasetDamaged(f"no picture of the dataset decodes ({why}).")
    labels, digests, shapes, sizes, of_files = (np.concatenate(column) for column in zip(*columns, strict=True))
    one_size = bool((shapes == shapes[0]).all())
    _save(folder, {LABELS: labels, DIGESTS: digests, SHAPES: shapes[:1] if one_size else shapes})
    _save(folder, {RECORD_BYTES: sizes, RECORD_DIGESTS: of_files})
    height, width, channels = map(int, shapes[0])
    shape = (height, width, channels) if one_size else None
    return Staged(Source(folder, shape, done, dataset.classes), watch.total, tuple(failures))


def _save(folder: Path, arrays: dict[str, NDArray[Any]]) -> None:
    for name, array in arrays.items():
        np.save(folder / name, array)


def _allocate(path: Path, shape: tuple[int, ...]) -> NDArray[np.uint8]:
    """A mapped file whose blocks exist, so that a full disk is an error here and not a fault later."""
    with path.open("xb") as file:
        size = int(np.prod(shape))
        if hasattr(os, "posix_fallocate"):
            os.posix_fallocate(file.fileno(), 0, size)
        else:
            file.truncate(size)
    return np.memmap(path, np.uint8, "r+", shape=shape)
