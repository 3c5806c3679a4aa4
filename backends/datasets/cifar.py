"""CIFAR-10 and CIFAR-100 as their authors publish them: a folder of pickled batches, or its archive.

The format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import json
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from backends.datasets.archive import TarFiles, is_archive
from backends.datasets.base import Dataset
from backends.datasets.batch_files import FolderFiles
from backends.datasets.cifar_batch import PIXELS, SIDE, Batch, read_batch, read_class_names
from backends.datasets.facts import DatasetFacts
from backends.datasets.found import Found
from backends.datasets.pickled_array import Refused
from backends.errors import DatasetDamaged, UsageError
from backends.images import Images

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.datasets.batch_files import BatchFiles
    from backends.datasets.found import Listing

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
    def batches(self) -> tuple[str, ...]:
        return tuple(name for names in self.splits.values() for name in names)

    @property
    def files(self) -> tuple[str, ...]:
        return (*self.batches, self.meta)


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


def open_cifar(files: BatchFiles, edition: Edition, location: str, path: str, split: str | None) -> CIFAR:
    """Look at every batch once, keep the labels, and open one split.

    Parameters
    ----------
    location
        Where it lies, for errors and for ``DatasetFacts.source``.
    path
        As the user wrote it.
    split
        ``train`` where None.

    Raises
    ------
    UsageError
        There is no such split.
    DatasetDamaged
        A file is missing, truncated, foreign or broken.
    """
    split = next(iter(edition.splits)) if split is None else split
    if split not in edition.splits:
        raise UsageError(f"{location} has no split {split!r}: choose of {', '.join(edition.splits)}.")
    classes: tuple[str, ...] | None = None
    parts: dict[str, _Part] = {}
    for name, data in files.scan(edition.files):
        if name == edition.meta:
            classes = _class_names(files, edition, data)
        else:
            parts[name] = _part(files, edition, name, data)
        del data  # before the next one is read
    missing = [name for name in edition.splits[split] if name not in parts]
    if classes is None:
        missing.append(edition.meta)
    if missing or classes is None:
        raise DatasetDamaged(f"{location} lacks {', '.join(missing)}: get {edition.kind} again from {HOME}.")
    return CIFAR(files, edition, location, path, split, classes, parts)


def _part(files: BatchFiles, edition: Edition, name: str, data: bytes) -> _Part:
    batch = _batch(files, edition, name, data)
    return _Part(name, batch.labels, xxhash.xxh3_128_digest(batch.planes.data))


def _class_names(files: BatchFiles, edition: Edition, data: bytes) -> tuple[str, ...]:
    try:
        return read_class_names(data, edition.names_key, edition.classes)
    except Refused as reason:
        raise _damaged(files, edition, edition.meta, reason) from None


def _batch(files: BatchFiles, edition: Edition, name: str, data: bytes) -> Batch:
    try:
        return read_batch(data, edition.label_key, edition.classes)
    except Refused as reason:
        raise _damaged(files, edition, name, reason) from None


def _damaged(files: BatchFiles, edition: Edition, name: str, reason: Refused) -> DatasetDamaged:
    return DatasetDamaged(f"{files.where(name)} {reason}; get {edition.kind} again from {HOME}.")


class CIFAR(Dataset):
    """One split of CIFAR.  Holds the pixels of one source file at most."""

    image_shape = (SIDE, SIDE, 3)

    def __init__(
        self,
        files: BatchFiles,
        edition: Edition,
        location: str,
        path: str,
        split: str,
        classes: tuple[str, ...],
        parts: Mapping[str, _Part],
    ) -> None:
        self.classes = classes
        self._files = files
        self._edition = edition
        self._parts = [parts[name] for name in edition.splits[split]]
        self._ends = np.cumsum([len(part.labels) for part in self._parts])
        self._loaded: tuple[_Part, NDArray[np.uint8]] | None = None
        self.labels = np.concatenate([part.labels for part in self._parts])
        self.count = len(self.labels)
        self._facts = DatasetFacts(
            path=path,
            kind=edition.kind,
            split=split,
            splits=_counts(edition, parts),
            count=self.count,
            image_shape=self.image_shape,
            raw_bytes=self.count * PIXELS,
            classes=classes,
            class_counts=tuple(np.bincount(self.labels, minlength=len(classes)).tolist()),
            fingerprint=self._fingerprint(),
            source=location,
        )

    def facts(self) -> DatasetFacts:
        return self._facts

    def read(self, ids: NDArray[np.int64]) -> Images:
        pixels = np.empty((len(ids), *self.image_shape), dtype=np.uint8)
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
            planes = _batch(self._files, self._edition, part.name, self._files.load(part.name)).planes
            if len(planes) != len(part.labels) or xxhash.xxh3_128_digest(planes.data) != part.digest:
                raise DatasetDamaged(
                    f"{self._files.where(part.name)} has changed since it was opened: open the dataset again."
                )
            self._loaded = part, planes
        return self._loaded[1]

    def _fingerprint(self) -> str:
        digest = xxhash.xxh3_128(json.dumps([self._edition.kind, self.classes]).encode())
        for part in self._parts:
            digest.update(part.digest)
        digest.update(self.labels.astype("<i8").tobytes())
        return digest.hexdigest()


def _counts(edition: Edition, parts: Mapping[str, _Part]) -> dict[str, int]:
    """Images of every split whose files are all there."""
    return {
        split: sum(len(parts[name].labels) for name in names)
        for split, names in edition.splits.items()
        if all(name in parts for name in names)
    }


def find_in_folder(listing: Listing) -> list[Found]:
    """CIFAR in this folder, or in folders below it that have the official names."""
    for edition in EDITIONS:
        if _is_edition(edition, listing.folder.name, listing.files):
            return [_found_folder(edition, listing.folder)]
    return [
        _found_folder(edition, listing.folder / edition.folder)
        for edition in EDITIONS
        if edition.folder in listing.folders
    ]


def find_in_archive(path: Path, head: bytes) -> Found | None:
    """CIFAR in a tar archive, by the first of its files.

    Raises
    ------
    DatasetNotFound, DatasetDamaged
        It is an archive of something else, or a broken one.
    """
    if not is_archive(head):
        return None
    with closing(TarFiles(path)) as files:
        first = files.first_of([name for edition in EDITIONS for name in edition.files])
    edition = next(edition for edition in EDITIONS if first in edition.files)

    def open_(written: str, split: str | None, cancelled: Callable[[], bool]) -> CIFAR:
        with ExitStack() as undo:
            files = TarFiles(path)
            undo.callback(files.close)
            dataset = open_cifar(files, edition, str(path), written, split)
            undo.pop_all()
        return dataset

    return Found(edition.kind, path, open_)


def is_batch_name(name: str) -> bool:
    """Whether a file of this name belongs into a folder of CIFAR."""
    return any(name in edition.files for edition in EDITIONS)


def _is_edition(edition: Edition, folder: str, names: Collection[str]) -> bool:
    """Some of the files are enough, so that the missing ones can be named; ``train`` alone could be anything."""
    present = sum(name in names for name in edition.files)
    return folder == edition.folder or present >= 2 or (present == 1 and edition is CIFAR10)


def _found_folder(edition: Edition, folder: Path) -> Found:
    def open_(path: str, split: str | None, cancelled: Callable[[], bool]) -> CIFAR:
        return open_cifar(FolderFiles(folder), edition, str(folder), path, split)

    return Found(edition.kind, folder, open_)
