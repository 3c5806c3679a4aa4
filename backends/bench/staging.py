"""The images of a plan, decoded once by the job into the folder that trials fetch them from."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from backends.bench.disk import ELSEWHERE
from backends.bench.source import BATCH, DIGESTS, LABELS, PIXELS, RECORD_BYTES, RECORDS, SHAPES, Source, digests_of
from backends.bench.stopwatch import Stopwatch
from backends.errors import DatasetDamaged, NoSpace

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from backends.datasets.base import Dataset, Decoded, Failure

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
