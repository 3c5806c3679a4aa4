"""CIFAR-10 and CIFAR-100 as their authors publish them: a folder of pickled batches, or its archive.

The format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import json
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from backends.datasets.archive import TarFiles
from backends.datasets.base import Dataset
from backends.datasets.cifar_batch import PIXELS, SIDE, Batch, read_batch, read_class_names
from backends.datasets.facts import DatasetFacts
from backends.datasets.pickled_array import Refused
from backends.errors import DatasetDamaged, UsageError
from backends.images import Images

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.datasets.batch_files import FolderFiles

HOME = "https://www.cs.toronto.edu/~kriz/cifar.html"


@dataclass(frozen=True, slots=True)
class Edition:
    """CIFAR-10 or CIFAR-100: what its files are called and what is in them."""

    kind: str
    folder: str
    splits: Mapping[str, tuple[str, ...]]
    meta: str
    classes: int
    label_key: str
    names_key: str

    @property
    def files(self) -> tuple[str, ...]:
        return (*chain(*self.splits.values()), self.meta)


CIFAR10 = Edition(
    kind="CIFAR-10",
    folder="cifar-10-batches-py",
    splits={"train": tuple(f"data_batch_{number}" for number in range(1, 6)), "test": ("test_batch",)},
    meta="batches.meta",
    classes=10,
    label_key="labels",
    names_key="label_names",
)
CIFAR100 = Edition(
    kind="CIFAR-100",
    folder="cifar-100-python",
    splits={"train": ("train",), "test": ("test",)},
    meta="meta",
    classes=100,
    label_key="fine_labels",
    names_key="fine_label_names",
)
EDITIONS = (CIFAR10, CIFAR100)


@dataclass(frozen=True, slots=True)
class _Part:
    """What was seen of one file when the dataset was opened; the pixels are read again when they are wanted."""

    name: str
    labels: NDArray[np.int64]
    digest: bytes


class CIFAR(Dataset):
    """One split of CIFAR; ``train`` where ``split`` is None.

    Opening looks at every batch once and keeps the labels.  Reading holds the pixels of one source file at most.

    Raises
    ------
    UsageError
        There is no such split.
    DatasetDamaged
        A file is missing, truncated, foreign or broken.
    """

    def __init__(self, files: FolderFiles | TarFiles, edition: Edition, path: str, split: str | None) -> None:
        split = next(iter(edition.splits)) if split is None else split
        if split not in edition.splits:
            raise UsageError(f"{files.path} has no split {split!r}: choose of {', '.join(edition.splits)}.")
        self._files = files
        self._edition = edition
        classes: tuple[str, ...] = ()
        parts: dict[str, _Part] = {}
        for name, data in files.scan(edition.files):
            with self._sentence(name):
                if name == edition.meta:
                    classes = read_class_names(data, edition.names_key, edition.classes)
                else:
                    parts[name] = _part(name, read_batch(data, edition.label_key, edition.classes))
            del data  # before the next one is read
        missing = [name for name in edition.splits[split] if name not in parts] + [edition.meta] * (not classes)
        if missing:
            raise DatasetDamaged(f"{files.path} lacks {', '.join(missing)}: get {edition.kind} again from {HOME}.")
        self._parts = [parts[name] for name in edition.splits[split]]
        self._ends = np.cumsum([len(part.labels) for part in self._parts])
        self._loaded: tuple[_Part, NDArray[np.uint8]] | None = None
        labels = np.concatenate([part.labels for part in self._parts])
        facts = DatasetFacts(
            path=path,
            kind=edition.kind,
            split=split,
            splits={
                split: sum(len(parts[name].labels) for name in names)
                for split, names in edition.splits.items()
                if parts.keys() >= set(names)
            },
            count=len(labels),
            image_shape=(SIDE, SIDE, 3),
            raw_bytes=len(labels) * PIXELS,
            classes=classes,
            class_counts=tuple(np.bincount(labels, minlength=len(classes)).tolist()),
            fingerprint=_fingerprint(edition, classes, self._parts, labels),
            source=str(files.path),
        )
        super().__init__(facts, labels)

    def read(self, ids: NDArray[np.int64]) -> Images:
        pixels = np.empty((len(ids), SIDE, SIDE, 3), dtype=np.uint8)
        colours = pixels.reshape(len(ids), SIDE * SIDE, 3)
        owners = np.searchsorted(self._ends, ids, side="right")
        for number in np.unique(owners):
            part = self._parts[number]
            first = self._ends[number] - len(part.labels)
            places = np.flatnonzero(owners == number)
            planes = self._planes(part)[ids[places] - first].reshape(-1, 3, SIDE * SIDE)
            for colour in range(3):  # three strided copies take a third of the time of one transposition
                colours[places, :, colour] = planes[:, colour]
        return Images(pixels, self.labels[ids])

    def close(self) -> None:
        self._loaded = None
        self._files.close()

    def _planes(self, part: _Part) -> NDArray[np.uint8]:
        if self._loaded is None or self._loaded[0] is not part:
            self._loaded = None  # before the next one is read, so that there is only one
            data = self._files.load(part.name)
            with self._sentence(part.name):
                planes = read_batch(data, self._edition.label_key, self._edition.classes).planes
            if len(planes) != len(part.labels) or xxhash.xxh3_128_digest(planes.data) != part.digest:
                raise DatasetDamaged(
                    f"{self._files.where(part.name)} has changed since it was opened: open the dataset again."
                )
            self._loaded = part, planes
        return self._loaded[1]

    @contextmanager
    def _sentence(self, name: str) -> Iterator[None]:
        """Say of which file a refusal speaks, and what to do."""
        try:
            yield
        except Refused as reason:
            what = f"{self._files.where(name)} {reason}"
            raise DatasetDamaged(f"{what}; get {self._edition.kind} again from {HOME}.") from None


def _part(name: str, batch: Batch) -> _Part:
    return _Part(name, batch.labels, xxhash.xxh3_128_digest(batch.planes.data))


def _fingerprint(edition: Edition, classes: tuple[str, ...], parts: list[_Part], labels: NDArray[np.int64]) -> str:
    digest = xxhash.xxh3_128(json.dumps([edition.kind, classes]).encode())
    for part in parts:
        digest.update(part.digest)
    digest.update(labels.astype("<i8").tobytes())
    return digest.hexdigest()


def find_editions(folder: Path, files: Collection[str], folders: Collection[str]) -> list[tuple[Edition, Path]]:
    """CIFAR in this folder, by some of its files, or in folders below it that have the official names."""
    for edition in EDITIONS:
        present = sum(name in files for name in edition.files)
        enough = 1 if edition is CIFAR10 else 2  # CIFAR-100's ``train`` alone could be anything
        if folder.name == edition.folder or present >= enough:
            return [(edition, folder)]
    return [(edition, folder / edition.folder) for edition in EDITIONS if edition.folder in folders]


def open_archive(archive: Path, path: str, split: str | None) -> CIFAR:
    """CIFAR in a tar archive, told by the first of its files.  Raises as ``open_dataset`` does."""
    with ExitStack() as undo:
        files = undo.enter_context(closing(TarFiles(archive)))
        first = files.first_of([name for edition in EDITIONS for name in edition.files])
        edition = next(edition for edition in EDITIONS if first in edition.files)
        dataset = CIFAR(files, edition, path, split)
        undo.pop_all()
    return dataset


def is_batch_name(name: str) -> bool:
    """Whether a file of this name belongs into a folder of CIFAR."""
    return any(name in edition.files for edition in EDITIONS)
