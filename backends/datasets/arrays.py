"""Images and labels in arrays: which arrays of a file are which, and reading rows of them as images."""

from __future__ import annotations

import math
import re
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

import numpy as np
import xxhash

from backends.datasets.base import Dataset, DatasetFacts
from backends.datasets.labels import numbered, read_label_array
from backends.datasets.regular_file import unpacking
from backends.datasets.structure import WHOLE, choose_split, in_order, split_word
from backends.errors import DatasetDamaged, DatasetNotFound, UsageError
from backends.images import Images

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.datasets.base import Reading

READ_ROWS = 1024
"""Rows that are read at a time where they lie together."""

_FINGERPRINT_ROWS = 64
_GAP = 8
"""Rows between two wanted ones that are read with them."""

_IMAGES = re.compile(r"(?<![a-z])(images?|imgs?|data|x|arr_0)(?![a-z])", re.I)
_LABELS = re.compile(r"(?<![a-z])(labels?|targets?|class(es)?|y|arr_1)(?![a-z])", re.I)


class Rows(ABC):
    """An array on disk, of which ranges of rows are read."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @abstractmethod
    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        """Rows ``start`` to ``stop``.  Raises DatasetDamaged where they are not there."""


class FileRows(Rows):
    """Rows one after another in a file, also a compressed one, which is read fastest forwards."""

    def __init__(
        self,
        file: BinaryIO,
        where: str,
        start: int,
        shape: tuple[int, ...],
        dtype: np.dtype[np.generic],
        room: int,
        skip: int = 0,
    ) -> None:
        """Rows from byte ``start`` on, each after ``skip`` others; the file has at most ``room`` bytes."""
        if start + math.prod(shape) * dtype.itemsize > room:
            raise DatasetDamaged(f"{where} is truncated: its header announces more than it has; get it again.")
        self.shape, self.dtype = shape, dtype
        self._file, self._where, self._start, self._skip = file, where, start, skip
        self._stride = skip + math.prod(shape[1:]) * dtype.itemsize

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        size = (stop - start) * self._stride
        with unpacking(self._where):
            self._file.seek(self._start + start * self._stride)
            data = self._file.read(size)
        if len(data) != size:
            raise DatasetDamaged(f"{self._where} is truncated: get it again.")
        rows = np.frombuffer(data, np.uint8).reshape(stop - start, self._stride)[:, self._skip :]
        return np.ascontiguousarray(rows).view(self.dtype).reshape(stop - start, *self.shape[1:])


class JoinedRows(Rows):
    """Arrays one after another, as one."""

    def __init__(self, parts: Sequence[Rows]) -> None:
        self._parts, self._ends = parts, np.cumsum([part.shape[0] for part in parts]).tolist()
        self.shape, self.dtype = (self._ends[-1], *parts[0].shape[1:]), parts[0].dtype

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        pieces = []
        for part, end in zip(self._parts, self._ends, strict=True):
            first = end - part.shape[0]
            if start < end and stop > first:
                pieces.append(part.read(max(start, first) - first, min(stop, end) - first))
        return np.concatenate(pieces) if len(pieces) > 1 else pieces[0]


@dataclass(frozen=True, slots=True)
class Part:
    """The images of one split, and their labels if there are any."""

    images: Rows
    labels: NDArray[np.generic] | None  # (n,)


def find_parts(arrays: Mapping[str, Rows], where: str) -> dict[str, Part]:
    """The splits among named arrays: those of images, each with the labels whose name is like it.

    Raises DatasetNotFound where no array has the shape of images.
    """
    images = {name: rows for name, rows in arrays.items() if _image_shape(rows) is not None}
    labels = {_LABELS.sub("", name).lower(): name for name in arrays if _LABELS.search(name) and name not in images}
    parts: dict[str, Part] = {}
    for name, rows in images.items():
        mine = labels.get(_IMAGES.sub("", name).lower())
        split = split_word(name) or (WHOLE if len(images) == 1 else name)
        parts[split if split not in parts else name] = Part(rows, _label_column(arrays[mine], rows) if mine else None)
    if not parts:
        listed = ", ".join(f"{name} {rows.shape} {rows.dtype}" for name, rows in list(arrays.items())[:4]) or "none"
        raise DatasetNotFound(
            f"{where} has no array of images ({listed}): it needs one of 8 or 16 bits, such as (n, height, width, 3)."
        )
    return {name: parts[name] for name in in_order(parts)}


def _label_column(rows: Rows, images: Rows) -> NDArray[np.generic] | None:
    """Labels, one for each image; None where an image has several."""
    count = images.shape[0]
    if rows.shape[:1] != (count,) or math.prod(rows.shape[1:]) != 1 or rows.dtype.kind not in "iubSU":
        return None
    return rows.read(0, count).reshape(-1)


def _image_shape(rows: Rows) -> tuple[int, int, int] | None:
    """The shape of the images in an array; None where its rows are none."""
    if not rows.shape or rows.shape[0] == 0 or rows.dtype not in (np.uint8, np.bool_, np.uint16):
        return None
    match rows.shape[1:]:
        case (height, width) if min(height, width) > 1:
            return height, width, 1
        case (height, width, (1 | 3 | 4) as channels):
            return height, width, channels
        case ((1 | 3 | 4) as channels, height, width):
            return height, width, channels
        case (size,) if size >= 64:
            for channels in (1, 3):  # rows of a square image, or its planes as in CIFAR
                if size % channels == 0 and math.isqrt(size // channels) ** 2 * channels == size:
                    return math.isqrt(size // channels), math.isqrt(size // channels), channels
    return None


def as_images(rows: NDArray[np.generic], shape: tuple[int, int, int]) -> NDArray[np.uint8]:
    """Rows as ``(n, height, width, channels)`` uint8: planes interleaved, 16 bits cut, 1 bit as 0 and 255."""
    if rows.shape[1:] != shape:
        height, width, channels = shape
        rows = rows.reshape(len(rows), channels, height, width).transpose(0, 2, 3, 1)
    if rows.dtype == np.uint16:
        rows = rows.astype(np.uint16) >> 8
    pixels = rows.astype(np.uint8)
    return np.ascontiguousarray(pixels * 255 if rows.dtype == np.bool_ else pixels)


def common_source(files: list[Path]) -> Path:
    """The file, or the folder of several."""
    return files[0] if len(files) == 1 else files[0].parent


class Arrays(Dataset):
    """One split of images in arrays; the first if ``split`` is None.  Raises UsageError if there is no such split."""

    takes_reading = True

    def __init__(
        self,
        parts: dict[str, Part],
        *,
        kind: str,
        path: str,
        source: Path,
        split: str | None,
        how: Reading,
        classes: tuple[str, ...] = (),
        digest: bytes = b"",
        close: Callable[[], None] = lambda: None,
    ) -> None:
        if how.root or how.layout:
            raise UsageError(f"{source} has no folders: leave out --root and --layout.")
        split = choose_split(list(parts), split, str(source))
        part = parts[split]
        shape = _image_shape(part.images)
        if shape is None:
            raise DatasetNotFound(f"{source} has no images in {split}.")
        self._rows, self._close = part.images, close
        count = part.images.shape[0]
        column = read_label_array(how.labels, count) if how.labels else part.labels
        names, labels = _numbered(column, count, classes)
        digest = digest or np.ascontiguousarray(part.images.read(0, min(count, _FINGERPRINT_ROWS))).tobytes()
        hashed = xxhash.xxh3_128(repr((kind, part.images.shape, names)).encode() + digest)
        hashed.update(labels.astype("<i8").tobytes())
        facts = DatasetFacts(
            path=path,
            kind=kind,
            split=split,
            splits={name: one.images.shape[0] for name, one in parts.items()},
            image_shape=shape,
            raw_bytes=count * math.prod(shape),
            classes=names,
            fingerprint=hashed.hexdigest(),
            source=str(source),
            how=how,
            notes=() if names else ("It has no labels: --labels FILE names a file of them.",),
        )
        super().__init__(facts, labels)
        self._shape = shape

    def read(self, ids: NDArray[np.int64]) -> Images:
        pixels = np.empty((len(ids), *self._shape), np.uint8)
        order = np.argsort(ids, kind="stable")
        cuts = np.flatnonzero(np.diff(ids[order]) > _GAP) + 1
        for run in np.split(order, cuts):
            for rows in np.split(run, range(READ_ROWS, len(run), READ_ROWS)):
                if len(rows):
                    first, last = int(ids[rows[0]]), int(ids[rows[-1]])
                    pixels[rows] = as_images(self._rows.read(first, last + 1), self._shape)[ids[rows] - first]
        return Images(pixels, self.labels[ids])

    def close(self) -> None:
        self._close()


def _numbered(
    column: NDArray[np.generic] | None, count: int, classes: tuple[str, ...]
) -> tuple[tuple[str, ...], NDArray[np.int64]]:
    """Names of the classes, which are ``classes`` where labels are numbers of these, and labels."""
    if column is None:
        return (), np.full(count, -1, np.int64)
    if column.dtype.kind in "iu" and classes and column.min() >= 0 and column.max() < len(classes):
        return classes, column.astype(np.int64)
    values, inverse = np.unique(column, return_inverse=True)
    texts = [value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value) for value in values.tolist()]
    names, numbers = numbered(texts)
    return names, numbers[inverse.reshape(-1)]
