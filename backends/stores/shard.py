"""Makes one shard: a task that depends on the plan and the shard's number alone, on whatever machine it runs.

A shard lies at its final name only after its container was closed, read back by the container's library through a
new reader, found equal to what the dataset gave, and synced.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import shutil
import socket
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import xxhash
from numpy.typing import NDArray

from backends.bench.disk import durable_file, fsync, sync, tree, usage_of
from backends.datasets import Dataset, open_dataset
from backends.datasets.base import Reading
from backends.errors import DatasetDamaged
from backends.images import Layout, offsets_of
from backends.stores.compare import Tick, check, digests_of
from backends.stores.plan import Batch, Shard, StorePlan, batches, read_batches

WORK, SEALED = "partial", "sealed"
"""Folders of a store that is being made: shards that are written, and what the index needs of those that are sealed."""

Pixels = Iterable[NDArray[np.uint8]]


class Sealed(msgspec.Struct, frozen=True):
    """A shard that is there for good."""

    number: int
    images: int
    failures: int  # pictures of its range that did not decode
    bytes: int
    files: int
    digest: str  # of its index columns


def no_tick(written: int, checked: int) -> None:
    """Take progress and do nothing."""


@dataclass
class Columns:
    """What the index keeps of the images of one shard, and of the pictures that did not decode."""

    ids: list[NDArray[np.int64]] = field(default_factory=list)
    labels: list[NDArray[np.int64]] = field(default_factory=list)
    shapes: list[NDArray[np.int32]] = field(default_factory=list)
    digests: list[NDArray[np.uint8]] = field(default_factory=list)
    names: list[bytes] = field(default_factory=list)
    failures: list[tuple[int, str, str]] = field(default_factory=list)

    def add(self, dataset: Dataset, batch: Batch, digests: NDArray[np.uint8]) -> None:
        """Take a batch that was written."""
        self.ids.append(batch.ids)
        self.labels.append(batch.images.labels)
        self.shapes.append(np.array([image.shape for image in batch.images.pixels], np.int32).reshape(-1, 3))
        self.digests.append(digests)
        self.names += [os.fsencode(dataset.name(id_)) for id_ in batch.ids.tolist()]

    def arrays(self) -> dict[str, NDArray[Any]]:
        """The columns as arrays, as ``index.npz`` has them for all shards."""
        empty = np.empty(0, np.int64)
        return {
            "ids": np.concatenate([empty, *self.ids]),
            "labels": np.concatenate([empty, *self.labels]),
            "shapes": np.concatenate([np.empty((0, 3), np.int32), *self.shapes]),
            "digests": np.concatenate([np.empty((0, 16), np.uint8), *self.digests]),
            "names": np.frombuffer(b"".join(self.names), np.uint8),
            "name_ends": offsets_of(list(map(len, self.names)))[1:],
            "failures": np.frombuffer(json.dumps(self.failures).encode(), np.uint8),
        }


class _Differs(Exception):
    """The images are not as the plan expects: pictures do not decode, or have other sizes."""


def make_shard(plan: StorePlan, destination: Path, number: int, tick: Tick = no_tick) -> Sealed:
    """Make a shard of a plan, whatever there was of it before.

    Raises ImgstoreError, or the OSError of what could not be written; nothing is at its final name then.
    """
    shard = plan.shards[number]
    work = destination / WORK / f"{number:05}.{socket.gethostname()}.{os.getpid()}"
    attempts = 2  # what could not be synced is void, and written once more
    while True:
        try:
            work.parent.mkdir(exist_ok=True)  # not those above: a store that is removed meanwhile stays so
            return _seal(plan, shard, destination, work, tick)
        except OSError as error:
            attempts -= 1
            if error.errno != errno.EIO or not attempts:
                raise
        finally:
            remove(work)


def _seal(plan: StorePlan, shard: Shard, destination: Path, work: Path, tick: Tick) -> Sealed:
    """Write a shard at ``work``, check and sync it, and put it at its name."""
    columns, layout = _write(plan, shard, work, tick)
    arrays = columns.arrays()
    syncing = syncer().submit(_sync, work, shard.path)
    try:
        check(plan.request, work, layout.count, arrays["digests"], arrays["labels"], tick)
    finally:
        wait([syncing])
    sums = syncing.result()
    final, usage = destination / shard.path, usage_of(work)
    index = destination / SEALED / f"{shard.number:05}.npz"
    for folder in (final.parent, index.parent):
        folder.mkdir(exist_ok=True)
    digest = save_arrays(index, arrays | {"sums": np.frombuffer("".join(sums).encode(), np.uint8)})
    remove(final)  # of an earlier attempt, whose line did not come into the journal
    work.rename(final)
    for folder in {final.parent, work.parent, destination}:
        fsync(folder)
    return Sealed(shard.number, layout.count, len(columns.failures), usage.bytes_apparent, usage.files, digest)


def _write(plan: StorePlan, shard: Shard, work: Path, tick: Tick) -> tuple[Columns, Layout]:
    """Write the container of a shard, closed.

    A container is told before how many images it gets.  All are expected to decode and to have the plan's shape; where
    that is not so, the rest is only looked at, and the container is written again without those that do not decode.
    """
    dataset = _dataset(plan.request.dataset, shard.split, plan.request.how, plan.fingerprints[shard.split])
    ids, shape = np.arange(shard.start, shard.stop), plan.image_shape
    failures: list[tuple[int, str, str]] = []
    while True:
        columns = Columns(failures=failures)
        layout = Layout(len(ids), plan.request.configuration.codec, shape, plan.classes)
        try:
            _write_images(plan, dataset, ids, layout, work, columns, tick)
            return columns, layout
        except _Differs:
            found, shapes = _look(plan, dataset, ids)
            failures = [*failures, *found]
            ids = np.setdiff1d(ids, [id_ for id_, _, _ in found])
            shape = shape if shapes <= {shape} else None


def _write_images(
    plan: StorePlan, dataset: Dataset, ids: NDArray[np.int64], layout: Layout, work: Path, columns: Columns, tick: Tick
) -> None:
    """Write the images of ``ids``.  Raises _Differs where one does not decode or has another shape than the layout."""
    request = plan.request
    codec, pixels = request.configuration.make_codec(), request.digests_pixels
    written = 0
    with request.configuration.make_backend().create(work, layout) as to:
        for low, high in batches(plan, 0, len(ids)):
            for batch in read_batches(request, dataset, ids[low:high], layout.image_shape, plan.classes):
                if batch.failures or (layout.image_shape is not None and batch.image_shape != layout.image_shape):
                    raise _Differs
                records = batch.records or codec.encode(batch.images)
                columns.add(dataset, batch, digests_of(batch.images, None if pixels else records))
                to.append(records)
                written += len(records)
                tick(written, 0)


def _look(
    plan: StorePlan, dataset: Dataset, ids: NDArray[np.int64]
) -> tuple[list[tuple[int, str, str]], set[tuple[int, int, int] | None]]:
    """The pictures of ``ids`` that do not decode, and the shapes of the others; None for a batch of several shapes."""
    failures: list[tuple[int, str, str]] = []
    shapes: set[tuple[int, int, int] | None] = set()
    for low, high in batches(plan, 0, len(ids)):
        for batch in read_batches(plan.request, dataset, ids[low:high], None, plan.classes):
            failures += batch.failures
            if plan.request.on_error == "stop" and failures:
                raise DatasetDamaged(f"{failures[0][1]} does not decode ({failures[0][2]}): replace or remove it.")
            if len(batch.ids):
                shapes.add(batch.image_shape)
    return failures, shapes


@functools.cache
def syncer() -> ThreadPoolExecutor:
    """A thread of this process that syncs; it has begun, and stays: to begin one may hang where memory is short."""
    executor = ThreadPoolExecutor(1)
    executor.submit(int).result()
    return executor


def _sync(work: Path, name: str) -> list[str]:
    """Sync a container; return its lines for ``SHA256SUMS``."""
    sync(work)
    return sha256_lines(work, name)


def sha256_lines(path: Path, name: str) -> list[str]:
    """The lines of ``sha256sum`` for a file, or for all files of a folder, which is called ``name`` in the store."""
    lines = []
    for file in sorted(tree(path)[0]):
        with file.open("rb") as opened:
            digest = hashlib.file_digest(opened, "sha256").hexdigest()
        inside = file.relative_to(path).as_posix()
        lines.append(f"{digest}  {name if inside == '.' else f'{name}/{inside}'}\n")
    return lines


def save_arrays(path: Path, arrays: dict[str, NDArray[Any]]) -> str:
    """Write an npz file durably, and return the xxh3-128 digest of its bytes."""
    with durable_file(path) as file:
        np.savez(file, allow_pickle=False, **arrays)
    return file_digest(path)


def file_digest(path: Path) -> str:
    """The xxh3-128 digest of a file, hexadecimal."""
    digest = xxhash.xxh3_128()
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            digest.update(part)
    return digest.hexdigest()


def remove(path: Path) -> None:
    """Remove a container that was begun here, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


@functools.lru_cache(maxsize=8)
def _dataset(path: str, split: str, how: Reading, fingerprint: str) -> Dataset:
    """A split of the dataset, open in this process.  Raises DatasetDamaged where it is not the one of the plan."""
    dataset = open_dataset(path, split, how=how)
    if dataset.facts().fingerprint != fingerprint:
        raise DatasetDamaged(f"{path} has changed since the conversion began: convert it into another folder.")
    return dataset
