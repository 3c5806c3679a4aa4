"""What is known before the first byte: whether a store may be made there, and what it takes."""

from __future__ import annotations

import math
import os
import tempfile
import time
from pathlib import Path

import msgspec

from backends import units
from backends.bench.disk import REMOTE, free_bytes, free_files, mount_of, nearest_existing, usage_of
from backends.datasets import Dataset
from backends.errors import NoSpace, NotAllowed, UsageError
from backends.images import Layout
from backends.stores.plan import Request, Sample, StorePlan

_PROBE_BYTES = 1 << 24
_START_SECONDS = 1.0
"""Until the first worker has imported what it needs and opened the dataset, about."""
_STORE_FILES = 6
"""Manifest, index, sums, and what is there while it is made."""
_INDEX_BYTES = 96
"""Bytes of an image in the index and the columns it is made of, about, beside its name."""


class Estimate(msgspec.Struct, frozen=True):
    """What a conversion takes, about."""

    bytes: int
    files: int
    seconds: float  # written, read back and synced
    free_bytes: int  # that may be used
    free_files: int | None  # None where the filesystem has no such limit
    source_bytes: int | None  # of the dataset, which stays where it is; None where that is not known


def check_target(request: Request, destination: Path) -> None:
    """Refuse, before anything is written, a folder in which the store cannot or must not be made.

    Raises UsageError, NotAllowed.
    """
    target = Path(os.path.realpath(destination))
    if request.dataset != "sample":
        source = Path(os.path.realpath(request.dataset))
        if source == target or source in target.parents:
            raise UsageError(f"{destination} is inside the dataset {source}: name a folder outside of it.")
        if target in source.parents:
            raise UsageError(f"{destination} has the dataset {source} in it: name another folder.")
    above = nearest_existing(target)
    if not above.is_dir():
        raise UsageError(f"{above} is a file: name a folder that does not exist yet.")
    if not os.access(above, os.W_OK | os.X_OK):
        raise NotAllowed(f"{above} may not be written: name another folder.")
    entry, filesystem = request.configuration.entry, mount_of(target).filesystem
    if entry.local_only and (filesystem in REMOTE or filesystem.startswith("fuse.")):
        raise UsageError(
            f"{entry.name} must not be written on {filesystem}, a filesystem of the network, and {destination} is on "
            "one: name a folder on a local disk and copy the store, or choose hdf5 or tar."
        )


def estimate(plan: StorePlan, sample: Sample, splits: list[Dataset], destination: Path, workers: int) -> Estimate:
    """What the conversion of a plan takes, from what its sample took and what the disk writes now."""
    entry, images = plan.request.configuration.entry, plan.images
    bytes_each, files_each, files_around = _costs(plan, sample)
    size = int(images * (bytes_each + 2 * _INDEX_BYTES))
    files = math.ceil(images * files_each + size / (entry.shard_bytes or math.inf))
    files += files_around * len(plan.shards) + _STORE_FILES
    folder = nearest_existing(destination)
    busy = max(1, min(workers, len(plan.shards)))
    seconds = _START_SECONDS + images * sample.seconds / busy + size / _write_rate(folder)
    sizes = [facts.source_bytes or facts.raw_bytes for facts in (split.facts() for split in splits)]
    source = None if None in sizes else sum(filter(None, sizes))
    return Estimate(size, files, seconds, free_bytes(folder), free_files(folder), source)


def _costs(plan: StorePlan, sample: Sample) -> tuple[float, float, int]:
    """Bytes and files that an image takes in a container, and files around them all: found by writing some images."""
    request, records, used = plan.request, sample.records, []
    backend = request.configuration.make_backend()
    with tempfile.TemporaryDirectory() as folder:
        for times in (1, 3):
            layout = Layout(times * len(records), request.configuration.codec, plan.image_shape, plan.classes)
            with backend.create(Path(folder, str(times)), layout) as writer:
                for _ in range(times):
                    writer.append(records)
            used.append(usage_of(Path(folder, str(times))))
    small, large = used
    bytes_each = (large.bytes_allocated - small.bytes_allocated) / (2 * len(records))
    files_each = (large.files - small.files) / (2 * len(records))
    return max(sample.record_bytes, bytes_each), files_each, small.files - round(files_each * len(records))


def _write_rate(folder: Path) -> float:
    """Bytes a second that the disk takes, synced; what is written has no name and is gone at once."""
    try:
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            begin = time.perf_counter()
            file.write(bytes(_PROBE_BYTES))
            os.fsync(file.fileno())
            return _PROBE_BYTES / (time.perf_counter() - begin)
    except OSError:
        return 1e8


def check_room(needs: Estimate, destination: Path) -> None:
    """Raise NoSpace where the store does not fit."""
    if needs.bytes > needs.free_bytes:
        raise NoSpace(
            f"not enough space at {destination}: the store takes about {units.capacity(needs.bytes)}, and "
            f"{units.capacity(needs.free_bytes)} can be used (5 % of the disk stay free): use another disk."
        )
    if needs.free_files is not None and needs.files > needs.free_files:
        raise NoSpace(
            f"too many files for {destination}: the store takes about {needs.files:,}, and the filesystem has inodes "
            f"for {needs.free_files:,} more: choose a backend of fewer files, or another disk."
        )
