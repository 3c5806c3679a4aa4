"""A folder of plain .npy files: ``images`` where all records are pixels of one size, else ``data`` and ``offsets``.

Beside them labels.npy, for raw images of mixed size shapes.npy, and layout.json.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backends.base import Backend
from backends.containers.array_folder import FolderWriter, RecordFileReader, write_header

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
        if layout.record_bytes is None:
            self.arrays["offsets"] = np.zeros(layout.count + 1, np.int64)
        self._end = 0
        name, self._shape = _pixels_of(layout)
        self._file = self.create(name)
        write_header(self._file, "|u1", self._shape or (0,))

    def append(self, records: Records) -> None:
        first = self.columns.add(records)
        start, stop = int(records.offsets[0]), int(records.offsets[-1])
        if self._shape is None:
            self.arrays["offsets"][first + 1 : first + len(records) + 1] = records.offsets[1:] - start + self._end
        self._file.write(records.data.data[start:stop])
        self._end += stop - start

    def finish(self) -> None:
        self._file.seek(0)
        write_header(self._file, "|u1", self._shape or (self._end,))
        self._file.close()


class NpyReader(RecordFileReader):
    """Reads straight into the caller's array."""

    kind = "npy container"

    def spans(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        offsets = self._offsets()
        return self.first + offsets[rows], self.first + offsets[rows + 1]

    def _open_records(self) -> None:
        name, shape = _pixels_of(self.layout)
        self.file, self.first = self.open_array(name, "|u1", shape)
        self.distance = self.layout.record_bytes or 0
        if shape is None:
            offsets = self._offsets()
            if offsets[0] != 0 or offsets[-1] != self.file.size - self.first or (np.diff(offsets) < 0).any():
                raise self.damaged(f"offsets.npy does not fit {name}")

    def _offsets(self) -> NDArray[np.int64]:
        return self.array("offsets", "<i8", (self.layout.count + 1,))


def _pixels_of(layout: Layout) -> tuple[str, tuple[int, ...] | None]:
    """The file that holds the pixels and the shape of its array; None for bytes of any number."""
    if layout.record_bytes is None or layout.image_shape is None:
        return "data.npy", None
    return "images.npy", (layout.count, *layout.image_shape)
