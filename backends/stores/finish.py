"""The end of a conversion: what the shards' columns say becomes the index, the sums, and last the manifest."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import xxhash
from numpy.typing import NDArray

from backends.bench.disk import fsync, usage_of, write_durably
from backends.errors import StoreDamaged
from backends.images import offsets_of
from backends.stores.manifest import INDEX, SUMS, Manifest, StoredShard, write_manifest
from backends.stores.plan import StorePlan
from backends.stores.shard import SEALED, WORK, save_arrays, sha256_lines

COLUMNS = ("ids", "labels", "shapes", "digests", "names")


def finish(folder: Path, plan: StorePlan) -> Manifest:
    """Write index, sums and manifest of a store whose shards are all durable, and remove what was needed to make it.

    Raises StoreDamaged where a shard, or its columns, are gone.
    """
    shards, index, failures, sums = _gather(folder, plan)
    split_of = np.repeat([list(plan.splits).index(shard.split) for shard in shards], [shard.images for shard in shards])
    index["duplicate_of"], in_two_splits = duplicates(index["digests"], split_of)
    index |= {"split_of": split_of.astype(np.uint8), "splits": _texts(plan.splits), "classes": _texts(plan.classes)}
    index["failures"] = np.frombuffer(json.dumps(failures).encode(), np.uint8)
    index_digest = save_arrays(folder / INDEX, index)
    write_durably(folder / SUMS, sums + "".join(sha256_lines(folder / INDEX, INDEX)).encode())
    manifest = Manifest(
        backend=plan.request.configuration.backend,
        codec=plan.request.configuration.codec,
        images=len(index["ids"]),
        splits=_ranges(plan, shards),
        classes=plan.classes,
        image_shape=plan.image_shape,
        lossless=plan.request.is_lossless,
        failures=len(failures),
        duplicates=int((index["duplicate_of"] >= 0).sum()),
        in_two_splits=in_two_splits,
        digest=xxhash.xxh3_128_hexdigest(index["digests"].tobytes()),
        index_digest=index_digest,
        index_bytes=(folder / INDEX).stat().st_size,
        shards=tuple(shards),
        request=plan.request,
        kind=plan.kind,
        fingerprints=plan.fingerprints,
        dataset_splits=plan.splits,
        image_bytes=plan.image_bytes,
    )
    write_manifest(folder, manifest)
    clean(folder)
    return manifest


def _gather(
    folder: Path, plan: StorePlan
) -> tuple[list[StoredShard], dict[str, NDArray[Any]], list[tuple[str, int, str, str]], bytes]:
    """The shards, their columns end to end, the pictures that did not decode, and the shards' lines of the sums."""
    shards: list[StoredShard] = []
    columns: dict[str, list[NDArray[Any]]] = {name: [] for name in (*COLUMNS, "lengths")}
    failures: list[tuple[str, int, str, str]] = []
    sums, first = b"", 0
    for shard in plan.shards:
        path = folder / SEALED / f"{shard.number:05}.npz"
        try:
            arrays = load_arrays(path)
            usage = usage_of(folder / shard.path)
        except (OSError, ValueError) as error:
            path.unlink(missing_ok=True)  # so that the shard is made again
            raise StoreDamaged(f"{shard.path} in {folder} is not whole ({error}): convert with --resume.") from None
        for name in COLUMNS:
            columns[name].append(arrays[name])
        columns["lengths"].append(np.diff(arrays["name_ends"], prepend=0))
        failures += [(shard.split, *failure) for failure in json.loads(arrays["failures"].tobytes())]
        sums += arrays["sums"].tobytes()
        where = shard.path, shard.split, shard.start, shard.stop
        shards.append(StoredShard(*where, first, len(arrays["ids"]), usage.bytes_apparent, usage.files))
        first += len(arrays["ids"])
    index = {name: np.concatenate(parts) for name, parts in columns.items()}
    index["name_ends"] = offsets_of(index.pop("lengths"))[1:]
    return shards, index, failures, sums


def duplicates(digests: NDArray[np.uint8], split_of: NDArray[Any]) -> tuple[NDArray[np.int64], int]:
    """For each image the position of the first one that is equal, -1 where that is itself; images in several splits.

    Equal images that are in two splits count once.
    """
    first = np.full(len(digests), -1, np.int64)
    if not len(digests):
        return first, 0
    halves = np.ascontiguousarray(digests).view(np.uint64)
    order = np.lexsort((halves[:, 0], halves[:, 1]))  # stable: the earliest of equal ones comes first
    begins = np.r_[True, (halves[order[1:]] != halves[order[:-1]]).any(axis=1)]
    group = np.cumsum(begins) - 1
    leaders = order[begins]
    first[order] = np.where(begins, -1, leaders[group])
    elsewhere = split_of[order] != split_of[leaders][group]
    return first, len(np.unique(group[elsewhere]))


def load_arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of an npz file.  Raises OSError, ValueError."""
    import zipfile

    try:
        with np.load(path, allow_pickle=False) as arrays:
            return {name: arrays[name] for name in arrays.files}
    except (zipfile.BadZipFile, KeyError, EOFError) as error:
        raise ValueError(str(error)) from None


def clean(folder: Path) -> None:
    """Remove what only the making of a store needs."""
    for name in (SEALED, WORK):
        shutil.rmtree(folder / name, ignore_errors=True)
    for path in (*folder.glob("journal*.jsonl"), *folder.glob(".journal*.partial"), *folder.glob("lock-*")):
        path.unlink(missing_ok=True)
    fsync(folder)


def _ranges(plan: StorePlan, shards: list[StoredShard]) -> dict[str, tuple[int, int]]:
    ranges = {}
    for split in plan.splits:
        mine = [shard for shard in shards if shard.split == split]
        ranges[split] = (mine[0].first, mine[-1].first + mine[-1].images)
    return ranges


def _texts(names: Any) -> NDArray[Any]:
    return np.array(list(names), dtype=np.str_) if names else np.empty(0, "U1")
