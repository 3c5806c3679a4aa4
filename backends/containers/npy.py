"""A folder of plain .npy files: ``images`` where all records are pixels of one size, else ``data`` and ``offsets``.

Beside them labels.npy, for raw images of mixed size shapes.npy, and layout.json.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.base import Backend
from backends.containers.array_folder import FolderWriter, RecordFileReader, write_header

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
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


class NpyReader(RecordFileReader):
    """Reads straight into the caller's array."""

    kind = "npy container"

    def spans(self, rows: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        return self.first + self.offsets[rows], self.first + self.offsets[rows + 1]

    def _open_records(self) -> None:
        name, shape = _pixels_of(self.layout)
        self.file, self.first = self.open_array(name, "|u1", shape)
        self.distance = self.layout.record_bytes or 0
        if shape is None:
            self.check_offsets(self.offsets, self.file.size - self.first)


def _pixels_of(layout: Layout) -> tuple[str, tuple[int, ...] | None]:
    """The file that holds the pixels and the shape of its array; None for bytes of any number."""
    if layout.record_bytes is None or layout.image_shape is None:
        return "data.npy", None
    return "images.npy", (layout.count, *layout.image_shape)
