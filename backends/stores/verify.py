"""Compares a store with what its manifest, its sums and its index say, in a process of its own, and mends shards.

A library that reads a damaged file may end its process: that is then a finding, and the next shard goes on.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np
from numpy.typing import NDArray

from backends import limits
from backends.bench.child import serve_parent
from backends.bench.disk import fsync, read_regular, usage_of, write_durably
from backends.bench.workers import forkserver
from backends.errors import ImgstoreError, StoreDamaged
from backends.stores.compare import Comparison
from backends.stores.finish import load_arrays
from backends.stores.journal import Lock
from backends.stores.manifest import INDEX, MANIFEST, SUMS, Manifest, read_manifest, write_manifest
from backends.stores.shard import SEALED, file_digest, make_shard, remove, sha256_lines
from backends.stores.store import open_store

Level = Literal["quick", "sample", "full"]
SAMPLED, LEAST_SAMPLED = 0.01, 1000
"""The share of a store's images that ``sample`` reads, and how many at least."""
REPAIR = "repair"
"""The folder in a store in which a shard is made again."""


class Finding(msgspec.Struct, frozen=True):
    """Something of a store that is not as it was made."""

    path: str  # the file or shard, in the store
    why: str
    index: int | None = None  # position of the image in the store, where it is one
    name: str = ""  # its original file name


def verify(
    folder: Path,
    level: Level = "full",
    *,
    tick: Callable[[int, int], None] = lambda done, shards: None,
) -> list[Finding]:
    """What is damaged of the store in ``folder``.

    ``quick`` compares names, sizes and counts and reads no image; ``sample`` reads the index and some images of each
    shard, too; ``full`` reads every byte, and names each image of a damaged shard that is not what was stored.
    ``tick`` is called after each shard with those done; what it raises ends the work.  Raises StoreNotFound, and
    StoreDamaged where the manifest, without which nothing can be said, is damaged.
    """
    manifest = read_manifest(folder)
    findings = _quick(folder, manifest)
    if level == "quick":
        return findings
    if not any(finding.path == INDEX for finding in findings) and file_digest(folder / INDEX) != manifest.index_digest:
        findings.append(Finding(INDEX, "its bytes have changed"))
    sums = _read_sums(folder, manifest)
    knows_index = not any(finding.path == INDEX for finding in findings)
    if level == "full":
        findings += _check_sums(folder, manifest, sums, knows_index)
    gone = {finding.path for finding in findings}
    shards = [number for number, shard in enumerate(manifest.shards) if shard.path not in gone]
    pool = _pool()
    try:
        for done, number in enumerate(shards):
            try:
                lines = sums.get(manifest.shards[number].path, []) if level == "full" else None
                findings += pool.submit(_check_shard, folder, manifest, number, lines, knows_index).result()
            except BrokenProcessPool:
                path = manifest.shards[number].path
                findings.append(Finding(path, "the process that read it died: it is too damaged to be read"))
                pool = _pool()
            tick(done + 1, len(shards))
    finally:
        pool.shutdown(cancel_futures=True)  # else its semaphores are left where this process ends at once
    return findings


def _pool() -> ProcessPoolExecutor:
    return ProcessPoolExecutor(1, forkserver([__name__]), serve_parent)


def _quick(folder: Path, manifest: Manifest) -> list[Finding]:
    """What names, sizes and numbers of files tell."""
    findings = []
    index = folder / INDEX
    if not index.is_file():
        findings.append(Finding(INDEX, "it is gone"))
    elif index.stat().st_size != manifest.index_bytes:
        findings.append(Finding(INDEX, f"it has {index.stat().st_size:,} bytes of {manifest.index_bytes:,}"))
    if not (folder / SUMS).is_file():
        findings.append(Finding(SUMS, "it is gone"))
    for shard in manifest.shards:
        try:
            usage = usage_of(folder / shard.path)
        except OSError:
            findings.append(Finding(shard.path, "it is gone"))
            continue
        if usage.files != shard.files:
            findings.append(Finding(shard.path, f"it has {usage.files:,} files of {shard.files:,}"))
        elif usage.bytes_apparent != shard.bytes:
            findings.append(Finding(shard.path, f"it has {usage.bytes_apparent:,} bytes of {shard.bytes:,}"))
    return findings


def strangers(folder: Path) -> list[str]:
    """Names in a store's folder that are not part of it."""
    manifest = read_manifest(folder)
    ours = {MANIFEST, INDEX, SUMS, *(shard.path.partition("/")[0] for shard in manifest.shards)}
    return sorted(path.name for path in folder.iterdir() if path.name not in ours)


def _read_sums(folder: Path, manifest: Manifest) -> dict[str, list[str]]:
    """The lines of ``SHA256SUMS`` by the shard that their file is of; under "" those of no known form."""
    sums: dict[str, list[str]] = {}
    try:
        text = os.fsdecode(read_regular(folder / SUMS, limits.SUMS_BYTES))
    except (OSError, ValueError):
        return sums
    shards = {shard.path for shard in manifest.shards}
    for line in text.splitlines(keepends=True):
        name = line[66:].rstrip("\n")
        while name and name not in shards and name != INDEX:
            name = name.rpartition("/")[0]
        sums.setdefault(name, []).append(line)
    return sums


def _check_sums(folder: Path, manifest: Manifest, sums: dict[str, list[str]], knows_index: bool) -> list[Finding]:
    """What is wrong with ``SHA256SUMS`` itself: the index's line, lines of nothing, shards without a line."""
    wrong = "" in sums or any(len(sums.get(shard.path, [])) != shard.files for shard in manifest.shards)
    if knows_index:
        wrong = wrong or sums.get(INDEX) != sha256_lines(folder / INDEX, INDEX)
    return [Finding(SUMS, "its lines are not those that were written")] if wrong and (folder / SUMS).is_file() else []


def _check_shard(
    folder: Path, manifest: Manifest, number: int, lines: list[str] | None, knows_index: bool
) -> list[Finding]:
    """What is damaged of a shard: by its sums, where ``lines`` has them, else by a sample of its images."""
    shard = manifest.shards[number]
    knows_sums = lines is not None and len(lines) == shard.files  # else only its images can tell
    try:
        if knows_sums and sha256_lines(folder / shard.path, shard.path) == lines:
            return []
        if not knows_index:
            return [Finding(shard.path, "its bytes have changed")] if knows_sums else []
        rows = _sample(manifest, number) if lines is None else np.arange(shard.images)
        findings = _check_images(folder, manifest, number, rows)
    except (OSError, ImgstoreError) as error:
        return [Finding(shard.path, str(error))]
    if knows_sums and not findings:
        why = f"its bytes are not those of {SUMS}, though every image and label is as it was stored"
        findings.append(Finding(shard.path, why))
    return findings


def _sample(manifest: Manifest, number: int) -> NDArray[np.int64]:
    """Some rows of a shard, others each time."""
    shard = manifest.shards[number]
    share = max(SAMPLED, LEAST_SAMPLED / max(1, manifest.images))
    count = min(shard.images, max(1, round(shard.images * share))) if shard.images else 0
    return np.sort(np.random.default_rng().choice(shard.images, size=count, replace=False)).astype(np.int64)


def _check_images(folder: Path, manifest: Manifest, number: int, rows: NDArray[np.int64]) -> list[Finding]:
    """The images of these rows of a shard that cannot be read, or are not what was stored."""
    shard = manifest.shards[number]
    with open_store(folder) as store, Comparison(manifest.request, folder / shard.path, shard.images) as comparison:
        part = slice(shard.first, shard.first + shard.images)
        digests, labels = store.digests[part], store.labels[part]
        step = next(comparison.parts(shard.images), slice(0, 1)).stop

        def wrong(some: NDArray[np.int64]) -> Iterator[Finding]:
            try:
                equal = comparison.equal(some, digests[some], labels[some])
                reasons = {int(row): "it is not what was stored" for row in some[~equal]}
            except Exception as error:  # whatever a library says of a damaged file
                if len(some) > 1:
                    for row in some:
                        yield from wrong(row[np.newaxis])
                    return
                reasons = {int(some[0]): str(error) or type(error).__name__}
            for row, why in reasons.items():
                yield Finding(shard.path, why, shard.first + row, store.names[shard.first + row])

        return [finding for low in range(0, len(rows), step) for finding in wrong(rows[low : low + step])]


def repair(folder: Path, findings: list[Finding]) -> list[str]:
    """Make the damaged shards of a store again from its dataset; return their paths.

    A new shard takes the place of the damaged one once it is sealed and found to have the images that the index says.
    Raises StoreDamaged where the index is damaged, or the dataset now gives other images.
    """
    manifest = read_manifest(folder)
    damaged = {finding.path for finding in findings}
    if INDEX in damaged:
        raise StoreDamaged(f"{folder / INDEX} is damaged, and without it nothing can be mended: convert again.")
    numbers = [number for number, shard in enumerate(manifest.shards) if shard.path in damaged]
    with Lock(folder / "lock").acquire() as lock:
        lock.check_folder(shard.path for shard in manifest.shards)
        _repair(folder, manifest, numbers)
    return [manifest.shards[number].path for number in numbers]


def _repair(folder: Path, manifest: Manifest, numbers: list[int]) -> None:
    shards = list(manifest.shards)
    new_lines: dict[str, list[str]] = {}
    store, workshop = open_store(folder), folder / REPAIR
    remove(workshop)  # of a repair that was interrupted
    workshop.mkdir()
    for number in numbers:
        shard = manifest.shards[number]
        sealed = make_shard(manifest.plan, workshop, number)
        made = load_arrays(workshop / SEALED / f"{number:05}.npz")
        part = slice(shard.first, shard.first + shard.images)
        if not all(np.array_equal(made[name], store.column(name)[part]) for name in ("ids", "labels", "digests")):
            raise StoreDamaged(f"{manifest.request.dataset} gives other images than {shard.path} had: convert again.")
        final = folder / shard.path
        remove(final)
        final.parent.mkdir(exist_ok=True)
        (workshop / shard.path).rename(final)
        fsync(final.parent)
        shards[number] = msgspec.structs.replace(shard, bytes=sealed.bytes, files=sealed.files)
        new_lines[shard.path] = made["sums"].tobytes().decode().splitlines(keepends=True)
    remove(workshop)
    _write_sums(folder, manifest, new_lines)
    if tuple(shards) != manifest.shards:
        write_manifest(folder, msgspec.structs.replace(manifest, shards=tuple(shards)))


def _write_sums(folder: Path, manifest: Manifest, new_lines: dict[str, list[str]]) -> None:
    """Write ``SHA256SUMS`` anew, with lines for what it lacks."""
    known = _read_sums(folder, manifest) | new_lines
    names = (*(shard.path for shard in manifest.shards), INDEX)
    lines = [line for name in names for line in known.get(name) or sha256_lines(folder / name, name)]
    write_durably(folder / SUMS, "".join(lines).encode())
