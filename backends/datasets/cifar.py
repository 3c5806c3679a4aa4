"""CIFAR-10 and CIFAR-100 as their authors publish them: a folder of pickled batches, or its archive.

The format: https://www.cs.toronto.edu/~kriz/cifar.html
"""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, contextmanager, suppress
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from backends import limits
from backends.datasets.archive import Member, open_archive
from backends.datasets.arrays import Arrays, JoinedRows, Part, Rows
from backends.datasets.base import AS_FOUND
from backends.datasets.regular_file import kind_of, open_regular, reading
from backends.datasets.structure import choose_split
from backends.datasets.unpickler import BadPickle, PickledArray, unpickle
from backends.errors import DatasetDamaged, DatasetNotFound, PictureDamaged

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

HOME = "https://www.cs.toronto.edu/~kriz/cifar.html"
SIDE = 32
IMAGE_BYTES = 3 * SIDE * SIDE
"""A plane of red, one of green, one of blue."""
MOST_NAME_BYTES = 255


@dataclass(frozen=True, slots=True)
class Edition:
    """CIFAR-10 or CIFAR-100: the names of its files, and of what is in them."""

    kind: str
    folder: str
    splits: Mapping[str, tuple[str, ...]]
    meta: str
    classes: int
    labels_key: str

    @property
    def names_key(self) -> str:
        """The key of the class names in the meta file."""
        return self.labels_key.replace("labels", "label_names")

    @property
    def files(self) -> tuple[str, ...]:
        return (*chain(*self.splits.values()), self.meta)


TRAINING = tuple(f"data_batch_{number}" for number in range(1, 6))
CIFAR10 = Edition(
    "CIFAR-10", "cifar-10-batches-py", {"train": TRAINING, "test": ("test_batch",)}, "batches.meta", 10, "labels"
)
CIFAR100 = Edition(
    "CIFAR-100", "cifar-100-python", {"train": ("train",), "test": ("test",)}, "meta", 100, "fine_labels"
)
EDITIONS = (CIFAR10, CIFAR100)
FILE_NAMES = frozenset(name for edition in EDITIONS for name in edition.files)


class FolderFiles:
    """The files of one folder, read whole, one at a time; none stays open.  ``ArchiveFiles`` has these methods, too."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def where(self, name: str) -> str:
        """The file of this name, for an error message."""
        return str(self.path / name)

    def scan(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Name and content of each of these files that is there."""
        for name in names:
            with suppress(DatasetNotFound):
                yield name, self._read(name)

    def load(self, name: str) -> bytes:
        """The content of a file that ``scan`` returned."""
        try:
            return self._read(name)
        except DatasetNotFound as error:
            raise DatasetDamaged(f"{self.where(name)} is gone since it was opened: put it back.") from error

    def close(self) -> None:
        return

    def _read(self, name: str) -> bytes:
        path = self.path / name
        with open_regular(path) as file, reading(path):
            size = os.fstat(file.fileno()).st_size
            if size > limits.FILE_BYTES.value:
                raise DatasetDamaged(f"{path} is no CIFAR batch (it has {limits.FILE_BYTES.exceeded()}): replace it.")
            return file.read(size)


class ArchiveFiles:
    """The files of an archive, at its top or one folder below, by their names without the folder."""

    def __init__(self, path: Path) -> None:
        self.path, self._archive = path, open_archive(path)
        self._members: dict[str, Member] = {}

    def where(self, name: str) -> str:
        return f"{name} in {self.path}"

    def scan(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        for number, member in enumerate(self._archive.members()):
            if number >= limits.CIFAR_MEMBERS.value:
                raise DatasetDamaged(f"{self.path} is no archive of CIFAR: it has {limits.CIFAR_MEMBERS.exceeded()}.")
            name = member.name.rpartition("/")[2]
            if name not in names or member.name.count("/") > 1:
                continue
            if name in self._members or member.size > limits.FILE_BYTES.value:
                wrong = f"{name} twice" if name in self._members else f"a {name} of {member.size:,} bytes"
                raise DatasetDamaged(f"{self.path} has {wrong}: get the archive again.")
            self._members[name] = member
            yield name, self.load(name)

    def load(self, name: str) -> bytes:
        try:
            return self._archive.read(self._members[name].start, self._members[name].size)
        except PictureDamaged as error:
            raise DatasetDamaged(f"{self.where(name)} is damaged ({error}): get the archive again.") from None

    def close(self) -> None:
        self._archive.close()


@dataclass(frozen=True, slots=True)
class _Batch:
    """What is kept of a batch file: labels, names, and a digest of its pixels, which are read again when needed."""

    name: str
    labels: NDArray[np.int64]
    names: list[str]
    digest: bytes


class _Reader:
    """Reads batches, and keeps the pixels of the last one."""

    def __init__(self, files: FolderFiles | ArchiveFiles, edition: Edition) -> None:
        self.files, self._edition = files, edition
        self._loaded: tuple[_Batch, NDArray[np.uint8]] | None = None

    def planes(self, batch: _Batch) -> NDArray[np.uint8]:
        """The pixels of a batch, ``(n, 3072)`` uint8."""
        if self._loaded is None or self._loaded[0] is not batch:
            self._loaded = None  # before the next one is read, so that there is only one
            _, planes, _ = self.batch(batch.name, self.files.load(batch.name))
            if len(planes) != len(batch.labels) or xxhash.xxh3_128_digest(planes.data) != batch.digest:
                where = self.files.where(batch.name)
                raise DatasetDamaged(f"{where} has changed since it was opened: open the dataset again.")
            self._loaded = batch, planes
        return self._loaded[1]

    def batch(self, name: str, data: bytes) -> tuple[NDArray[np.int64], NDArray[np.uint8], list[str]]:
        with self.errors(name):
            return read_batch(data, self._edition)

    @contextmanager
    def errors(self, name: str) -> Iterator[None]:
        """Name the file in errors of the unpickler, and say what to do."""
        try:
            yield
        except BadPickle as reason:
            where = self.files.where(name)
            raise DatasetDamaged(f"{where} {reason}; get {self._edition.kind} again from {HOME}.") from None


class _BatchRows(Rows):
    def __init__(self, reader: _Reader, batch: _Batch) -> None:
        self.shape, self.dtype = (len(batch.labels), 3, SIDE, SIDE), np.dtype(np.uint8)
        self._reader, self._batch = reader, batch

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        return self._reader.planes(self._batch)[start:stop].reshape(-1, 3, SIDE, SIDE)


class CIFAR(Arrays):
    """One split of CIFAR; ``train`` if ``split`` is None.

    Opening reads every batch once and keeps the labels.  Reading holds the pixels of one batch at a time.  Raises
    UsageError if there is no such split, NotAllowed or DatasetDamaged for a file that is missing, truncated or foreign.
    """

    takes_reading = False

    def __init__(self, files: FolderFiles | ArchiveFiles, edition: Edition, path: str, split: str | None) -> None:
        split = choose_split(list(edition.splits), split, str(files.path))
        reader = _Reader(files, edition)
        classes: tuple[str, ...] = ()
        batches: dict[str, _Batch] = {}
        for name, data in files.scan(edition.files):
            if name == edition.meta:
                with reader.errors(name):
                    classes = read_class_names(data, edition)
            else:
                labels, planes, names = reader.batch(name, data)
                batches[name] = _Batch(name, labels, names, xxhash.xxh3_128_digest(planes.data))
                del planes
            del data  # before the next file is read
        missing = [name for name in edition.splits[split] if name not in batches] + [edition.meta] * (not classes)
        if missing:
            raise DatasetDamaged(f"{files.path} lacks {', '.join(missing)}: get {edition.kind} again from {HOME}.")
        parts: dict[str, Part] = {}
        for name, members in edition.splits.items():
            if batches.keys() >= set(members):
                found = [batches[member] for member in members]
                rows = JoinedRows([_BatchRows(reader, batch) for batch in found])
                parts[name] = Part(rows, np.concatenate([batch.labels for batch in found]))
        mine = [batches[name] for name in edition.splits[split]]
        self._names = [name for batch in mine for name in batch.names]
        super().__init__(
            parts,
            kind=edition.kind,
            path=path,
            source=files.path,
            split=split,
            how=AS_FOUND,
            classes=classes,
            digest=b"".join(batch.digest for batch in mine),
            close=files.close,
        )

    def name(self, id_: int) -> str:
        return self._names[id_]


def read_batch(data: bytes, edition: Edition) -> tuple[NDArray[np.int64], NDArray[np.uint8], list[str]]:
    """Labels, ``(n,)`` int64, pixels and file names of a batch file.  Raises BadPickle if it is none, or empty.

    Pixels are ``(n, 3072)`` uint8, the red, green and blue planes of each image, a view of ``data`` if possible.  Names
    are empty where it has none, or not one for each image.
    """
    batch = _unpickle_dict(data)
    array, labels = batch.get("data"), batch.get(edition.labels_key)
    if not isinstance(array, PickledArray) or not isinstance(labels, list):
        missing = "data" if isinstance(labels, list) else edition.labels_key
        raise BadPickle(f"is not a CIFAR batch (it has no {missing})")
    planes = array.rows(IMAGE_BYTES)
    if len(planes) == 0:
        raise BadPickle("holds no images")
    if len(labels) != len(planes):
        raise BadPickle(f"has {len(planes):,} images and {len(labels):,} labels")
    if not all(type(label) is int and 0 <= label < edition.classes for label in labels):
        raise BadPickle(f"has a label that is not one of the {edition.classes} classes (0 to {edition.classes - 1})")
    names = batch.get("filenames")
    if not isinstance(names, list) or len(names) != len(planes):
        names = [None] * len(planes)
    return np.array(labels, dtype=np.int64), planes, [_file_name(name) for name in names]


def _file_name(name: object) -> str:
    """A name as ``Dataset.name`` gives it, empty for what cannot be that of a file."""
    content = name.encode(errors="replace") if isinstance(name, str) else name
    return os.fsdecode(content) if isinstance(content, bytes) and len(content) <= MOST_NAME_BYTES else ""


def read_class_names(data: bytes, edition: Edition) -> tuple[str, ...]:
    """Names of the classes in a meta file.  Raises BadPickle if it does not have as many as the edition."""
    names = _unpickle_dict(data).get(edition.names_key)
    if not isinstance(names, list) or len(names) != edition.classes:
        raise BadPickle(f"is not a CIFAR meta file (it has no {edition.classes} names in {edition.names_key})")
    texts = tuple(name.decode("latin-1") if isinstance(name, bytes) else name for name in names)
    if not all(isinstance(name, str) and 0 < len(name) <= 100 for name in texts):
        raise BadPickle("is not a CIFAR meta file (a class has no name, or one of more than 100 characters)")
    return texts


def _unpickle_dict(data: bytes) -> dict[str, object]:
    kind = kind_of(data[:512])
    if not data or (kind is not None and data[:1] != b"("):  # a pickle of protocol 0 is text, and begins with a mark
        raise BadPickle(f"is not a CIFAR batch (found {kind})" if data else "is empty")
    value = unpickle(data)
    if not isinstance(value, dict):
        raise BadPickle(f"is not a CIFAR batch (a pickled {type(value).__name__}, not a dictionary)")
    return {key.decode("latin-1") if isinstance(key, bytes) else key: item for key, item in value.items()}


def find_editions(folder: Path, files: Collection[str], folders: Collection[str]) -> list[tuple[Edition, Path]]:
    """CIFAR datasets in a folder (told by its files or its name) or in folders of the official names in it."""
    for edition in EDITIONS:
        present = sum(name in files for name in edition.files)
        enough = 1 if edition is CIFAR10 else 2  # CIFAR-100's ``train`` alone could be anything
        if folder.name == edition.folder or present >= enough:
            return [(edition, folder)]
    return [(edition, folder / edition.folder) for edition in EDITIONS if edition.folder in folders]


def open_archived(archive: Path, first: str, path: str, split: str | None) -> CIFAR:
    """Open an archive as CIFAR-10 or CIFAR-100, told by the first of its files.  Raises as ``open_dataset``."""
    with ExitStack() as undo:
        files = undo.enter_context(closing(ArchiveFiles(archive)))
        edition = next(edition for edition in EDITIONS if first in edition.files)
        dataset = CIFAR(files, edition, path, split)
        undo.pop_all()
    return dataset
