"""A folder of pictures as a dataset: flat or with a folder for each class, and with or without splits."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, TypeVar

import numpy as np

from backends.codecs.pictures import Probe, decode_picture, probe_picture
from backends.datasets.base import Dataset, DatasetFacts, Decoded, Failure
from backends.datasets.regular_file import FILE_BYTES, is_folder, list_folder, open_regular, reading
from backends.datasets.scan import is_picture, is_picture_name, scan
from backends.errors import DatasetDamaged, DatasetNotFound, ImgstoreError, PictureDamaged, UsageError
from backends.images import Images, join_records

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

KIND = "picture folder"
SPLITS = ("train", "val", "valid", "validation", "test")
"""Names of folders that are splits, the default first."""

WHOLE = "all"
"""The one split of a folder without such folders."""

PROBED = 1000
"""Headers that a survey reads."""

THREADS = 2
THREADED_BYTES = 16 << 10
"""Files of this average size are decoded by threads: 1.7 times as fast for photos, half as fast for thumbnails."""

_SNIFFED = 10
"""Files without a known suffix that are opened to recognise a folder of pictures."""

_Result = TypeVar("_Result")


class Pictures(Dataset):
    """One split of a folder of pictures of any formats and sizes; the first if ``split`` is None.

    Opening lists all splits without opening pictures, and calls ``cancelled`` now and then; no file stays open.  Raises
    UsageError or DatasetNotFound if there is no such split or no picture, Cancelled if ``cancelled`` returned True.
    """

    def __init__(self, folder: Path, path: str, split: str | None, cancelled: Callable[[], bool]) -> None:
        folders, skipped = _splits(folder)
        splits = {name: scan(path, cancelled) for name, path in folders.items()}
        splits = {name: files for name, files in splits.items() if len(files.sizes)}
        if not splits:
            raise DatasetNotFound(f"{folder} holds no pictures: name a folder of JPEG, PNG, BMP or WebP files.")
        split = next(iter(splits)) if split is None else split
        if split not in splits:
            raise UsageError(f"{folder} has no split {split!r}: choose of {', '.join(splits)}.")
        self._folder, self._files = folders[split], splits[split]
        self._survey: DatasetFacts | None = None
        classes, labels = self._files.classes, self._files.labels
        facts = DatasetFacts(
            path=path,
            kind=KIND,
            split=split,
            splits={name: len(files.sizes) for name, files in splits.items()},
            count=len(labels),
            image_shape=None,
            raw_bytes=None,
            classes=classes,
            class_counts=tuple(np.bincount(labels, minlength=len(classes)).tolist()) if classes else (),
            fingerprint=self._files.fingerprint(),
            source=str(self._folder),
            source_bytes=int(self._files.sizes.sum()),
            notes=(*self._files.notes, *skipped),
        )
        super().__init__(facts, labels)

    def name(self, id_: int) -> str:
        """The file of an image, relative to the folder of the split; undecodable bytes become surrogates."""
        return self._files.name(id_)

    def survey(self) -> DatasetFacts:
        if self._survey is None:
            chosen = np.random.default_rng(0).choice(self.count, size=min(self.count, PROBED), replace=False)
            with warnings.catch_warnings(action="ignore"):
                probes = [self._open(id_, lambda _, file: probe_picture(file)) for id_ in np.sort(chosen).tolist()]
            self._survey = _surveyed(self._facts, probes)
        return self._survey

    def decode(self, ids: NDArray[np.int64], *, source: bool = False) -> Decoded:
        with warnings.catch_warnings(action="ignore"), ThreadPoolExecutor(THREADS) as pool:
            map_ids = pool.map if self._files.sizes.mean() >= THREADED_BYTES else map
            results = list(map_ids(partial(self._open, read=self._decode), ids.tolist()))
        decoded = [result for result in results if not isinstance(result, Failure)]
        failures = tuple(result for result in results if isinstance(result, Failure))
        decoded_ids = np.array([id_ for id_, _, _ in decoded], np.int64)
        labels = self.labels[decoded_ids]
        images = Images([pixels for _, pixels, _ in decoded], labels)
        records = join_records([data for _, _, data in decoded], labels) if source else None
        return Decoded(decoded_ids, images, records, failures)

    def read(self, ids: NDArray[np.int64]) -> Images:
        decoded = self.decode(ids)
        for failure in decoded.failures:
            path = self._folder / failure.name
            raise DatasetDamaged(f"{path} does not decode ({failure.why}): replace or remove it.")
        return decoded.images

    def _decode(self, id_: int, file: BinaryIO) -> tuple[int, NDArray[np.uint8], bytes]:
        size = os.fstat(file.fileno()).st_size
        if size != self._files.sizes[id_]:
            raise PictureDamaged("it has changed since the folder was opened")
        if size > FILE_BYTES:
            raise PictureDamaged(f"it has more than {FILE_BYTES >> 20} MiB")
        data = file.read(size)
        return id_, decode_picture(data), data

    def _open(self, id_: int, read: Callable[[int, BinaryIO], _Result]) -> _Result | Failure:
        """What ``read`` returns for the open file of an image, or why it could not."""
        name = self.name(id_)
        path = self._folder / name
        try:
            with open_regular(path) as file, reading(path):
                return read(id_, file)
        except DatasetNotFound:
            return Failure(id_, name, "it is gone since the folder was opened")
        except ImgstoreError as error:
            return Failure(id_, name, str(error))


def _splits(folder: Path) -> tuple[dict[str, Path], list[str]]:
    """The folders of the splits, the default first, and a note on the folders beside them."""
    with reading(folder), os.scandir(folder) as entries:
        names = {entry.name for entry in entries if is_folder(entry) and not entry.name.startswith(".")}
    splits = {name: folder / name for name in SPLITS if name in names}
    beside = sorted(names - splits.keys())
    if not splits or not beside:
        return splits or {WHOLE: folder}, []
    more = ", ..." if len(beside) > 3 else ""
    return splits, [f"Skipped: folders beside the splits ({', '.join(beside[:3])}{more})."]


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
    )


def holds_picture(folder: Path, depth: int = 2) -> bool:
    """Whether a folder has a picture at most ``depth`` levels down, by suffixes and the first bytes of a few files."""
    try:
        files, folders = list_folder(folder)
    except ImgstoreError:
        return False
    files = [name for name in files if not name.startswith(".")]
    return (
        any(is_picture_name(name) for name in files)
        or any(is_picture(folder / name) for name in files[:_SNIFFED])
        or (depth > 0 and any(holds_picture(folder / below, depth - 1) for below in folders if below[0] != "."))
    )
