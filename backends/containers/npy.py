"""A folder of plain .npy files: ``images`` where all records are pixels of one size, else ``data`` and ``offsets``.

Beside them labels.npy, for raw images of mixed size shapes.npy, and layout.json.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from backends.base import Backend, Reader, Writer
from backends.containers.array_folder import ArrayFolder, NewFolder, write_header
from backends.containers.records import Columns, join_records, row_buffer
from backends.images import Layout, Records, even_offsets

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.containers.fileio import MappedFile


class Npy(Backend):
    """Arrays that numpy maps: ``np.load(path, mmap_mode="r")``."""

    name = "npy"

    def create(self, path: Path, layout: Layout) -> NpyWriter:
        return NpyWriter(path, layout)

    def open(self, path: Path) -> NpyReader:
        return NpyReader(path)


class NpyWriter(Writer):
    """Writes records behind a header that is written again at the end, when their number is known."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._layout = layout
        self._columns = Columns(layout)
        self._offsets = np.zeros(layout.count + 1, np.int64) if layout.record_bytes is None else None
        self._end = 0
        name, self._shape = _pixels_of(layout)
        self._folder = NewFolder(path.absolute(), name)
        write_header(self._folder.pixels, "|u1", self._shape or (0,))

    def append(self, records: Records) -> None:
        first = self._columns.add(records)
        start, stop = int(records.offsets[0]), int(records.offsets[-1])
        if self._offsets is not None:
            self._offsets[first + 1 : first + len(records) + 1] = records.offsets[1:] - start + self._end
        self._folder.pixels.write(records.data.data[start:stop])
        self._end += stop - start

    def close(self) -> None:
        if not self._folder.is_open:
            return
        try:
            self._folder.pixels.seek(0)
            write_header(self._folder.pixels, "|u1", self._shape or (self._end,))
            self._folder.finish(self._layout, self._columns, offsets=self._offsets)
        except BaseException:
            self.abort()
            raise

    def abort(self) -> None:
        self._columns.abort()
        self._folder.remove()


class NpyReader(Reader):
    """Reads ranges straight into the caller's array, and gathers rows out of a map."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._folder = ArrayFolder(self._path, "npy container")
        self._pixels: tuple[MappedFile, int] | None = None
        self.layout = self._folder.layout
        self._opened()

    def __reduce__(self) -> tuple[Any, ...]:
        return NpyReader, (self._path,)

    @property
    def labels(self) -> NDArray[np.int64]:
        return self._folder.labels

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        rows = np.arange(start, stop + 1)
        file, first = self._opened()
        starts = self._starts(rows)
        size = int(starts[-1] - starts[0])
        data = np.empty(size, np.uint8) if out is None else row_buffer(self.layout, stop - start, out).reshape(-1)
        file.fill(data, first + int(starts[0]))
        return Records(data, starts - starts[0], self.labels[start:stop], self._folder.shapes_of(rows[:-1]))

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        file, first = self._opened()
        size = self.layout.record_bytes
        if size is not None and len(rows):
            into = row_buffer(self.layout, len(rows), out)
            file.take(rows, into, first, size)
            return Records(into.reshape(-1), even_offsets(len(rows), size), self.labels[rows])
        values = file.runs(first + self._starts(rows), first + self._starts(rows + 1))
        data, offsets = join_records(values, rows, self.layout, out, self._path)
        return Records(data, offsets, self.labels[rows], self._folder.shapes_of(rows))

    def close(self) -> None:
        if self._pixels is not None:
            self._pixels[0].close()
        self._pixels = None

    def _opened(self) -> tuple[MappedFile, int]:
        """The file of the pixels, and where in it they begin."""
        if self._pixels is None:
            name, shape = _pixels_of(self.layout)
            file, first = self._pixels = self._folder.open_array(name, "|u1", shape)
            if self.layout.record_bytes is None:
                offsets = self._offsets()
                if offsets[0] != 0 or offsets[-1] != file.size - first or (np.diff(offsets) < 0).any():
                    self.close()
                    raise self._folder.damaged(f"offsets.npy does not fit {name}")
        return self._pixels

    def _offsets(self) -> NDArray[np.int64]:
        return self._folder.array("offsets", "<i8", (self.layout.count + 1,))

    def _starts(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Where records begin in the pixels; for ``count``, where they end."""
        size = self.layout.record_bytes
        return self._offsets()[rows] if size is None else rows * size


def _pixels_of(layout: Layout) -> tuple[str, tuple[int, ...] | None]:
    """The file that holds the pixels and the shape of its array; None for bytes of any number."""
    if layout.record_bytes is None or layout.image_shape is None:
        return "data.npy", None
    return "images.npy", (layout.count, *layout.image_shape)
