"""A conversion into one kind of container, what it makes when nothing disturbs it, and the comparison with that."""

from __future__ import annotations

from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.bench.disk import tree
from backends.stores.compare import Comparison
from backends.stores.convert import Control, convert
from backends.stores.finish import load_arrays
from backends.stores.journal import Journal
from backends.stores.manifest import INDEX, MANIFEST, SUMS, Manifest, is_store, read_manifest
from backends.stores.plan import Request
from backends.stores.progress import Progress
from backends.stores.shard import SEALED, sha256_lines
from backends.stores.verify import strangers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

CONTAINERS = ("files", "lmdb", "hdf5", "npy", "sqlite", "tar", "zarr", "parquet")
SHARD_IMAGES = 20


class Lost(AssertionError):
    """An image that was reported durable is not there, or is not what it was."""


@dataclass
class Case:
    """A request, and the folder of the store that it makes when nothing disturbs it."""

    request: Request
    reference: Path

    @cached_property
    def manifest(self) -> Manifest:
        return read_manifest(self.reference)

    @cached_property
    def index(self) -> dict[str, NDArray[np.generic]]:
        return load_arrays(self.reference / INDEX)

    def check_shard(self, folder: Path, number: int, sums: str) -> None:
        """Raise Lost where a shard in ``folder`` has not the bytes that ``sums`` says, or not the dataset's images."""
        shard = self.manifest.shards[number]
        if "".join(sha256_lines(folder / shard.path, shard.path)) != sums:  # else its library may read it safely
            raise Lost(f"{shard.path}: other bytes")
        rows = slice(shard.first, shard.first + shard.images)
        with Comparison(self.request, folder / shard.path, shard.images) as comparison:
            digests, labels = self.index["digests"][rows], self.index["labels"][rows]
            if not comparison.equal(slice(0, shard.images), digests, labels).all():  # type: ignore[arg-type]
                raise Lost(f"{shard.path}: other images")

    def check_durable(self, folder: Path, reported: int) -> None:
        """Raise Lost where fewer images than ``reported`` are recorded as durable, or one of them is not there."""
        if is_store(folder):
            return self.check_store(folder)
        sealed = [one for path in folder.glob("journal*.jsonl") for one in Journal(path).sealed.values()]
        for one in sealed:
            try:
                sums = load_arrays(folder / SEALED / f"{one.number:05}.npz")["sums"].tobytes().decode()
                self.check_shard(folder, one.number, sums)
            except (OSError, ValueError) as error:
                raise Lost(f"shard {one.number}: {error}") from error
        if sum(one.images for one in sealed) < reported:
            raise Lost(f"{reported} images were durable, {sum(one.images for one in sealed)} are")
        return None

    def check_store(self, folder: Path) -> None:
        """Check that a finished store is the one that an undisturbed conversion makes."""
        for name in (MANIFEST, INDEX):
            assert (folder / name).read_bytes() == (self.reference / name).read_bytes(), name
        lines: dict[str, str] = {}
        for line in (folder / SUMS).read_text().splitlines(keepends=True):
            path = next((one.path for one in self.manifest.shards if line[66:].startswith(one.path)), INDEX)
            lines[path] = lines.get(path, "") + line
        assert lines.pop(INDEX) == "".join(sha256_lines(folder / INDEX, INDEX))
        for number, shard in enumerate(self.manifest.shards):
            self.check_shard(folder, number, lines.pop(shard.path))
        assert not lines

    def resume(self, folder: Path, reported: int = 0) -> None:
        """Complete a conversion; at least the images that were reported durable are not made again."""
        reports: list[Progress] = []
        assert convert(self.request, folder, workers=2, resume=True, control=Control(report=reports.append)) is not None
        assert not reports or reports[0].resumed >= reported
        self.check_store(folder)
        assert strangers(folder) == []
        assert not [path for path in tree(folder)[0] if ".partial" in path.name]


@dataclass
class Tally:
    """A row of the fault table: the kind of fault, the container, the faults it was put to, and those it survived."""

    row: list[Any]

    @contextmanager
    def point(self) -> Iterator[None]:
        """Count a fault as survived where the body raises nothing."""
        self.row[2] += 1
        yield
        self.row[3] += 1
