"""A folder of plain .npy files: ``images`` where all records are pixels of one size, else ``data`` and ``offsets``.

Beside them labels.npy, for raw images of mixed size shapes.npy, and layout.json.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.base import Backend
from backends.containers.array_folder import FolderReader, FolderWriter, write_header
from backends.containers.records import ArraysReader

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.images import Layout, Records


class Npy(Backend):
    """Arrays that numpy maps: ``np.load(path, mmap_mode="r")``."""

    name = "npy"

    def create(self, path: Path, layout: Layout) -> NpyWriter:
        return NpyWriter(path, layout)

    def open(self, path: Path) -> NpyReader:
        return NpyReader(path)


class NpyWriter(FolderWriter):
    """Writes records behind a header that is written again at the end, when their number is known."""

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        name, self._shape = _pixels_of(layout)
        self._file = self.create(name)
        write_header(self._file, "|u1", self._shape or (0,))

    def append(self, records: Records) -> None:
        self.add(records)
        self._file.write(records.data.data[records.offsets[0] : records.offsets[-1]])

    def arrays(self) -> dict[str, NDArray[Any]]:
        self._file.seek(0)
        write_header(self._file, "|u1", self._shape or (int(self.offsets[-1]),))
        self._file.close()
        return self.columns()


class NpyReader(FolderReader, ArraysReader):
    """Reads ranges straight into the caller's array, and scattered records out of a map."""

    kind = "npy container"

    def fill(self, first: int, into: NDArray[np.uint8]) -> None:
        self._file.fill(into, self._first + first * math.prod(into.shape[1:]))

    def take(self, rows: NDArray[np.int64], into: NDArray[np.uint8]) -> None:
        self._file.take(rows, into, self._first, into.shape[1])

    def gather(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.uint8]:
        return np.frombuffer(b"".join(self._file.runs(self._first + starts, self._first + stops)), np.uint8)

    def release(self) -> None:
        if hasattr(self, "_file"):
            self._file.close()
        super().release()

    def _open_records(self) -> None:
        name, shape = _pixels_of(self.layout)
        self._file, self._first = self.open_array(name, "|u1", shape)
        if shape is None:
            self.check_offsets(self.offsets, self._file.size - self._first)


def _pixels_of(layout: Layout) -> tuple[str, tuple[int, ...] | None]:
    """The file that holds the pixels and the shape of its array; None for bytes of any number."""
    if layout.record_bytes is None or layout.image_shape is None:
        return "data.npy", None
    return "images.npy", (layout.count, *layout.image_shape)
