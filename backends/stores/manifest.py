"""The manifest of a store, ``imgstore.json``: the store exists once it does, and it says what there is to read."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import msgspec

from backends import limits
from backends.bench.disk import read_regular, write_durably
from backends.bench.json_files import from_builtins, to_builtins
from backends.errors import NotAllowed, StoreDamaged, StoreNotFound
from backends.stores.plan import Request, Shard, StorePlan, check_inside

MANIFEST, INDEX, SUMS = "imgstore.json", "index.npz", "SHA256SUMS"
FORMAT, SCHEMA = "imgstore", 1


class StoredShard(msgspec.Struct, frozen=True):
    """A shard of a finished store, and where its images are from: ids ``start`` to ``stop`` of a split."""

    path: str
    split: str
    start: int
    stop: int
    first: int  # position of its first image in the store
    images: int
    bytes: int
    files: int

    def __post_init__(self) -> None:
        check_inside(self.path)


class Manifest(msgspec.Struct, frozen=True, kw_only=True):
    """What a store holds.  The same request, dataset and versions of the libraries give the same bytes."""

    format: str = FORMAT
    schema: int = SCHEMA
    backend: str
    codec: str
    images: int
    splits: dict[str, tuple[int, int]]  # positions of each split's images, from the first to the one behind the last
    classes: tuple[str, ...]
    image_shape: tuple[int, int, int] | None
    lossless: bool
    failures: int  # pictures of the dataset that did not decode; ``index.npz`` names them
    duplicates: int  # images that are equal to an earlier one ...
    in_two_splits: int  # ... and those that are in another split as well
    digest: str  # xxh3-128 of the digests of all images
    index_digest: str  # xxh3-128 of index.npz
    index_bytes: int
    shards: tuple[StoredShard, ...]
    request: Request
    kind: str  # of the dataset
    fingerprints: dict[str, str]
    dataset_splits: dict[str, int]
    image_bytes: int

    @property
    def plan(self) -> StorePlan:
        """The plan that the store was made by."""
        shards = tuple(
            Shard(number, shard.path, shard.split, shard.start, shard.stop) for number, shard in enumerate(self.shards)
        )
        return StorePlan(
            self.request,
            self.kind,
            self.fingerprints,
            self.dataset_splits,
            self.image_shape,
            self.classes,
            self.image_bytes,
            shards,
        )


def is_store(path: Path) -> bool:
    """Whether there is a finished store at ``path``."""
    return (path / MANIFEST).is_file()


def write_manifest(folder: Path, manifest: Manifest) -> None:
    """Write the manifest of a store durably."""
    write_durably(folder / MANIFEST, _encoded(to_builtins(manifest)))


def read_manifest(folder: Path) -> Manifest:
    """The manifest of a store.  Raises StoreNotFound, NotAllowed, and StoreDamaged where a byte of it has changed."""
    path = folder / MANIFEST
    try:
        data = read_regular(path, limits.JSON_BYTES)
    except PermissionError:
        raise NotAllowed(f"{path} may not be read: change its permissions.") from None
    except ValueError as error:
        raise StoreDamaged(f"{path}: {error}.") from None
    except OSError:
        raise StoreNotFound(f"{folder} is no store (it has no {MANIFEST}): imgstore-tui convert makes one.") from None
    try:
        fields = limits.parse_json(data)
        schema = fields["schema"]
        del fields["checksum"]
        if _encoded(fields) != data:
            raise ValueError("its checksum does not fit")
        if schema != SCHEMA:
            raise StoreDamaged(f"{path} has format {schema}, and this version reads {SCHEMA}: update imgstore-tui.")
        return from_builtins(fields, Manifest)
    except (ValueError, KeyError, TypeError) as error:
        if isinstance(error, StoreDamaged):
            raise
        how = "copy it from where the store was copied from, or convert again."
        raise StoreDamaged(f"{path} is damaged ({error}): {how}") from None


def _encoded(fields: dict[str, Any]) -> bytes:
    """The text of a manifest, which has a digest of itself in it."""
    text = json.dumps(fields, indent=1)
    return json.dumps({"checksum": hashlib.sha256(text.encode()).hexdigest(), **fields}, indent=1).encode() + b"\n"
