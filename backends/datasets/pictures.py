"""Picture files as a dataset, wherever their bytes are: what their headers say, and decoding in batches."""

from __future__ import annotations

import copy
import warnings
from abc import abstractmethod
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from itertools import takewhile
from math import prod
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import numpy as np

from backends import limits
from backends.codecs.pictures import MEMORY, Probe, announced_bytes, decode_picture, probe_picture
from backends.datasets.base import Dataset, DatasetFacts, Decoded, Failure, Reading, Skipped
from backends.datasets.labels import labels_of_files, numbered, read_labels
from backends.datasets.regular_file import printable
from backends.datasets.structure import choose_split, find_splits, pack
from backends.datasets.tree import Folder
from backends.errors import DatasetDamaged, DatasetNotFound, ImgstoreError, PictureDamaged
from backends.images import Images, join_records

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Self

    from numpy.typing import NDArray

PROBED, PROBED_BYTES = 1000, 256 << 20
"""Headers that a survey reads, and the most bytes of files it reads where a header cannot be read alone."""

BATCH_BYTES = 512 << 20
"""Memory for the pixels of a batch that is bounded, about."""

THREADS = 2
THREADED_BYTES = 16 << 10
"""Files of this average size are decoded by threads: 1.7 times as fast for photos, half as fast for thumbnails."""

_Result = TypeVar("_Result")


class _Room:
    """The memory for the pixels of a batch, as the headers of its pictures announce them; the first always fits."""

    def __init__(self, memory: int | None, ids: NDArray[np.int64]) -> None:
        self.picture = MEMORY if memory is None else memory
        self._left = None if memory is None else min(memory, BATCH_BYTES)
        self._first = int(ids[0]) if len(ids) else -1
        self._full, self._lock = False, Lock()

    def is_full(self, id_: int) -> bool:
        return self._full and id_ != self._first

    def take(self, id_: int, data: bytes) -> bool:
        """Take room for a picture; once there was none, there is none for any other."""
        if self._left is None:
            return True
        size = announced_bytes(data)
        size = size if size <= self.picture else 0  # larger ones are not decoded
        with self._lock:
            self._full = self._full or size > self._left
            if not self.is_full(id_):
                self._left -= size
            return not self.is_full(id_)


class Pictures(Dataset):
    """One split of picture files of any formats and sizes, whose bytes ``_open`` gives."""

    whole_files = True
    """Whether reading a header reads the whole file."""
    threads = THREADS
    takes_reading = True

    def __init__(self, facts: DatasetFacts, labels: NDArray[np.int64]) -> None:
        super().__init__(facts, labels)
        self._survey: DatasetFacts | None = None
        self._file_bytes = (facts.source_bytes or 0) / max(1, self.count)

    def skipped(self) -> Iterator[tuple[str, str]]:
        yield from super().skipped()
        for failure in _failures(self._probes()):
            yield self._listed_as(failure.name), failure.why

    def _listed_as(self, name: str) -> str:
        """The name of a picture beside those of files that are passed over."""
        return name

    def survey(self) -> DatasetFacts:
        if self._survey is None:
            self._survey = _surveyed(self._facts, self._probes())
        return self._survey

    def decode(self, ids: NDArray[np.int64], *, source: bool = False, memory: int | None = None) -> Decoded:
        threaded = self.threads > 1 and self._file_bytes >= THREADED_BYTES
        room = _Room(memory, ids)
        with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(self.threads) as pool:
            map_ids = pool.map if threaded else map
            tried = list(map_ids(partial(self._try, read=partial(self._decode, room)), ids.tolist()))
        results = list(takewhile(lambda result: result is not None, tried))
        decoded = [result for result in results if result is not None and not isinstance(result, Failure)]
        decoded_ids = np.array([id_ for id_, _, _ in decoded], np.int64)
        labels = self.labels[decoded_ids]
        images = Images([pixels for _, pixels, _ in decoded], labels)
        records = join_records([data for _, _, data in decoded], labels) if source else None
        return Decoded(decoded_ids, images, records, _failures(results))

    def read(self, ids: NDArray[np.int64]) -> Images:
        decoded = self.decode(ids)
        for failure in decoded.failures:
            where = f"{self._where()}/{failure.name}"
            raise DatasetDamaged(f"{where} does not decode ({failure.why}): replace or remove it.")
        return decoded.images

    @abstractmethod
    def _open(self, id_: int) -> BinaryIO:
        """The file of an image, open at its begin.  Raises ImgstoreError with the reason, without the file's name."""

    def _size(self, id_: int) -> int | None:
        """The bytes that the file of an image had when the dataset was opened; None where that is not known."""
        return None

    def _where(self) -> str:
        """What the names of images are relative to, for error messages."""
        return self._facts.source

    def _probes(self) -> list[Probe | Failure]:
        """What the headers of some pictures say, always of the same ones."""
        most = PROBED
        if self.whole_files and self._file_bytes:
            most = max(1, min(PROBED, int(PROBED_BYTES / self._file_bytes)))
        chosen = np.random.default_rng(0).choice(self.count, size=min(self.count, most), replace=False)
        with warnings.catch_warnings(action="ignore"):
            return [self._try(id_, lambda _, file: probe_picture(file)) for id_ in np.sort(chosen).tolist()]

    def _decode(self, room: _Room, id_: int, file: BinaryIO) -> tuple[int, NDArray[np.uint8], bytes] | None:
        """Id, pixels and bytes of a picture; None where there is no room for it in this batch."""
        if room.is_full(id_):
            return None
        size = self._size(id_)
        most = limits.FILE_BYTES.value
        data = file.read(most + 1)
        if max(size or 0, len(data)) > most:
            raise PictureDamaged(f"it has {limits.FILE_BYTES.exceeded()}")
        if size is not None and len(data) != size:
            raise PictureDamaged("it has changed since the dataset was opened")
        if not room.take(id_, data):
            return None
        return id_, decode_picture(data, memory=room.picture), data

    def _try(self, id_: int, read: Callable[[int, BinaryIO], _Result]) -> _Result | Failure:
        """What ``read`` returns for the open file of an image, or why it could not."""
        try:
            with self._open(id_) as file:
                return read(id_, file)
        except ImgstoreError as error:
            return Failure(id_, self.name(id_), str(error))


class PictureTree(Pictures):
    """One split of a tree of picture files; the first if ``split`` is None.

    Raises UsageError or DatasetNotFound if there is no such split or no picture, UnclearLayout where folders can be
    understood in several ways.
    """

    def __init__(
        self,
        tree: Folder,
        skipped: Skipped,
        notes: list[str],
        *,
        kind: str,
        path: str,
        source: Path,
        split: str | None,
        how: Reading,
    ) -> None:
        if not tree.total:
            content = ", ".join(printable(path) for path in sorted(skipped.first.values())[:3]) or "nothing"
            raise DatasetNotFound(
                f"{source} holds no pictures (it has {content}): name a folder or an archive that does."
            )
        splits = find_splits(tree, how, str(source), notes)
        split = choose_split(list(splits), split, str(source))
        self._top, self._folders, self._listed = source, splits, (skipped, notes)
        counts = {name: folder.total for name, folder in splits.items()}
        self._take(DatasetFacts(path=path, kind=kind, split=split, splits=counts, fingerprint="", how=how))

    def of_split(self, split: str) -> Self:
        other = copy.copy(self)
        other._take(replace(self._facts, split=split))
        return other

    def _take(self, facts: DatasetFacts) -> None:
        """Become the split of ``facts``."""
        folder, how = self._folders[facts.split], facts.how
        self._folders = {name: one for name, one in self._folders.items() if one is not folder}  # it is packed now
        skipped, notes = copy.deepcopy(self._listed) if self._folders else self._listed
        self._files = pack(folder, how.layout, skipped, notes)
        classes, labels = self._labels(how, notes)
        facts = replace(
            facts,
            splits=facts.splits | {facts.split: len(labels)},
            classes=classes,
            fingerprint=replace(self._files, classes=classes, labels=labels).fingerprint(),
            source=str(self._top / folder.path),
            source_bytes=int(self._files.sizes.sum()),
            notes=tuple(notes),
            left_out=0,
        )
        super().__init__(facts, labels)
        self.leave_out(skipped)

    def name(self, id_: int) -> str:
        """The file of an image, relative to the folder of the classes; undecodable bytes become surrogates."""
        return self._files.name(id_)

    def _listed_as(self, name: str) -> str:
        return str(Path(self._files.base, name))

    def _size(self, id_: int) -> int:
        return int(self._files.sizes[id_])

    def _where(self) -> str:
        return str(self._top / self._files.base)

    def _labels(self, how: Reading, notes: list[str]) -> tuple[tuple[str, ...], NDArray[np.int64]]:
        """Names of the classes, and labels: from the user's file, from one beside the pictures, or from folders."""
        files = self._files
        beside = how.layout in ("", "splits") and files.label_file
        path = Path(how.labels).expanduser() if how.labels else self._top / files.base / files.label_file
        table = read_labels(path) if how.labels or beside else {}
        if not table:
            return files.classes, files.labels
        found = labels_of_files(len(files.sizes), files.name, table)
        labelled = sum(label is not None for label in found)
        if not labelled and not how.labels:
            return files.classes, files.labels
        notes.append(f"{path.name} labels {labelled:,} of {len(found):,} pictures.")
        return numbered(found)


def _failures(results: Sequence[object]) -> tuple[Failure, ...]:
    return tuple(result for result in results if isinstance(result, Failure))


def _surveyed(facts: DatasetFacts, results: list[Probe | Failure]) -> DatasetFacts:
    """The facts with the shapes, raw bytes and conversions that the headers say."""
    probes = [result for result in results if isinstance(result, Probe)]
    failures = [result for result in results if isinstance(result, Failure)]
    shapes = {probe.shape for probe in probes}
    raw_bytes = sum(prod(probe.shape) for probe in probes)
    converted = Counter(probe.converted for probe in probes if probe.converted)
    notes = list(facts.notes)
    if converted:
        kinds = ", ".join(f"{number:,} {words}" for words, number in converted.most_common())
        notes.append(f"{converted.total():,} of {len(results):,} looked at are converted: {kinds}.")
    if failures:
        first = f"{failures[0].name}: {failures[0].why}"
        notes.append(f"{len(failures):,} of {len(results):,} looked at do not decode, first {first}.")
    return replace(
        facts,
        image_shape=shapes.pop() if len(shapes) == 1 else None,
        raw_bytes=round(raw_bytes * facts.count / len(results)) if probes else None,
        estimated=len(results) < facts.count,
        notes=tuple(notes),
        sampled=len(results),
        undecodable=len(failures),
    )
