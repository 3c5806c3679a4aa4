"""One HDF5 file: ``images`` where all records are pixels of one size, else ``data`` and ``offsets``; ``labels``.

The HDF5 library keeps the structure; pixels move straight between memory and the places in the file that it allots
to them.  So bytes flow at the speed of the file, outside the library's lock, and a full disk is an ordinary error.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np
from h5py import h5f

from backends.base import Backend, Reader, Writer
from backends.batch import Columns, carries_shapes, row_buffer
from backends.errors import ContainerDamaged, refusal
from backends.hdf5_structure import (
    Extent,
    Place,
    allot,
    create_file,
    create_growing,
    extend,
    find,
    flush,
    open_file,
    read_layout,
    write_layout,
)
from backends.images import Layout, Records, even_offsets, offsets_of
from backends.mapped_file import MappedFile
from backends.transfer import AlignedWriter, reserve, write_at

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray


class HDF5(Backend):
    """One file that every HDF5 library reads."""

    name, title = "hdf5", "HDF5 file"

    def create(self, path: Path, layout: Layout) -> HDF5Writer:
        return HDF5Writer(path, layout)

    def open(self, path: Path) -> HDF5Reader:
        return HDF5Reader(path)


class HDF5Writer(Writer):
    """Has HDF5 allot the space of each dataset and writes the bytes there; closing writes the structure."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path.absolute()
        self._layout = layout
        self._columns = Columns(layout)
        self._offsets = np.zeros(layout.count + 1, np.int64)
        self._end = 0
        self._place = Place()
        self._growing: Any = None
        self._extents: list[Extent] = []
        self._descriptor = -1
        self._file = create_file(self._path)
        self._is_open = True
        try:
            self._descriptor = os.open(self._path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
            self._pixels = AlignedWriter(self._descriptor)
            if layout.image_shape is not None and layout.record_bytes is not None:
                self._place = allot(self._file, "images", "u1", (layout.count, *layout.image_shape))
        except BaseException:
            self.abort()
            raise

    def append(self, records: Records) -> None:
        first = self._columns.add(records)
        start, stop = int(records.offsets[0]), int(records.offsets[-1])
        if self._layout.record_bytes is None:
            self._offsets[first + 1 : first + len(records) + 1] = records.offsets[1:] - start + self._end
            self._grow(stop - start, len(records))
        for low, high, position in self._place.pieces(self._end, self._end + stop - start):
            self._pixels.write(records.data[start + low : start + high], position)
        self._end += stop - start

    def close(self) -> None:
        if not self._is_open:
            return
        try:
            self._columns.check_complete()
            self._pixels.flush()
            self._write_column("labels", self._columns.labels)
            if self._layout.record_bytes is None:
                self._grow(0, 1)
                self._write_column("offsets", self._offsets)
            if self._columns.shapes is not None:
                self._write_column("shapes", self._columns.shapes)
            write_layout(self._file, self._layout)
            self._reserve_structure()
            flush(self._file)
        except BaseException:
            self.abort()
            raise
        self._is_open = False
        self._file.close()
        os.close(self._descriptor)

    def abort(self) -> None:
        self._columns.abort()
        if self._is_open:
            self._is_open = False
            with suppress(RuntimeError):  # HDF5 may be unable to close what it was unable to write
                self._drop_structure()
                self._file.close()
            if self._descriptor >= 0:
                os.close(self._descriptor)
        self._path.unlink(missing_ok=True)

    def _grow(self, more: int, count: int) -> None:
        """Make ``data`` longer by ``more`` bytes, those of ``count`` records."""
        if self._growing is None:
            self._growing = create_growing(self._file, "data", more * self._layout.count // max(count, 1))
        self._place = extend(self._growing, self._place, self._end + more)

    def _write_column(self, name: str, column: NDArray[Any]) -> None:
        dtype = column.dtype.newbyteorder("<")
        flat = column.astype(dtype, copy=False).reshape(-1).view(np.uint8)
        place = allot(self._file, name, dtype.str, column.shape)
        self._extents += place.extents
        for low, high, position in place.pieces(0, len(flat)):
            write_at(self._descriptor, flat[low:high], position)

    def _reserve_structure(self) -> None:
        """Take room for all that HDF5 has yet to write, so that a full disk stops us and not HDF5, which may crash."""
        end = 0
        last = Extent(0, 0, self._file.get_filesize())
        for extent in (*sorted((*self._extents, *self._place.extents), key=lambda extent: extent.position), last):
            reserve(self._descriptor, end, extent.position)
            end = max(end, extent.position + extent.stop - extent.start)

    def _drop_structure(self) -> None:
        """Give all space back, so that closing does not need any, even where the disk is full."""
        self._growing = None
        for name in (b"images", b"data", b"labels", b"offsets", b"shapes"):
            if self._file.links.exists(name):
                self._file.unlink(name)
        os.ftruncate(self._descriptor, 0)


class HDF5Reader(Reader):
    """Looks up once where the bytes of each dataset lie, then reads them by ``preadv`` or through a map."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._columns: dict[str, NDArray[Any]] = {}
        self._places: dict[str, Place] = {}
        self.layout = self._open()

    def __reduce__(self) -> tuple[Any, ...]:
        return HDF5Reader, (self._path,)

    @property
    def labels(self) -> NDArray[np.int64]:
        return self._column("labels", "<i8", (self.layout.count,))

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        self._reopen()
        if self.layout.record_bytes is not None or out is not None:
            into = row_buffer(self.layout, stop - start, out)
            data, offsets, first = into.reshape(-1), even_offsets(*into.shape), start * into.shape[1]
        else:
            ends = self._ends()[start : stop + 1]
            first, offsets = int(ends[0]), ends - ends[0]
            data = np.empty(int(offsets[-1]), np.uint8)
        for low, high, position in self._place.pieces(first, first + len(data)):
            self._file.fill(data[low:high], position)
        return Records(data, offsets, self.labels[start:stop], self._shapes_of(slice(start, stop)))

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        self._reopen()
        labels, shapes = self.labels[rows], self._shapes_of(rows)
        if self.layout.record_bytes is None and out is None:
            ends = self._ends()
            starts, stops = ends[rows], ends[rows + 1]
            return Records(self._gather(starts, stops), offsets_of(stops - starts), labels, shapes)
        into = row_buffer(self.layout, len(rows), out)
        size = into.shape[1]
        if len(rows) and len(self._place.extents) == 1:
            self._file.take(rows, into, self._place.extents[0].position, size)
        else:
            into.reshape(-1)[:] = self._gather(rows * size, (rows + 1) * size)
        return Records(into.reshape(-1), even_offsets(len(rows), size), labels, shapes)

    def close(self) -> None:
        self._file.close()

    def _open(self) -> Layout:
        self._file = MappedFile(self._path)
        try:
            file = open_file(self._path)
            try:
                layout = read_layout(file)
                self._place = self._find_all(file, layout)
            finally:
                file.close()
        except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:  # all of them are HDF5's refusals
            self.close()
            refused = refusal(error, self._path) if isinstance(error, OSError) else None
            raise refused or self._damaged(str(error)) from error
        return layout

    def _find_all(self, file: h5f.FileID, layout: Layout) -> Place:
        """Look up every dataset of the layout; return the place of the pixels."""
        self._places["labels"], _ = find(file, "labels", "<i8", (layout.count,))
        if carries_shapes(layout):
            self._places["shapes"], _ = find(file, "shapes", "<i4", (layout.count, 3))
        if layout.record_bytes is not None and layout.image_shape is not None:
            return find(file, "images", "u1", (layout.count, *layout.image_shape))[0]
        self._places["offsets"], _ = find(file, "offsets", "<i8", (layout.count + 1,))
        place, self._data_bytes = find(file, "data", "u1", (None,))
        return place

    def _reopen(self) -> None:
        if not self._file.is_open and self._open() != self.layout:
            self.close()
            raise self._damaged("its layout has changed since it was opened")

    def _gather(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.uint8]:
        """The bytes of these runs of the pixels, end to end."""
        if not len(starts):
            return np.empty(0, np.uint8)
        pieces: list[tuple[int, int]] = []
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            pieces += [(at, at + high - low) for low, high, at in self._place.pieces(start, stop)]
        return np.frombuffer(b"".join(self._file.runs(*np.array(pieces, np.int64).reshape(-1, 2).T)), np.uint8)

    def _ends(self) -> NDArray[np.int64]:
        """Where records start and end in ``data``, ``(count + 1,)``."""
        if "offsets" not in self._columns:
            ends = self._column("offsets", "<i8", (self.layout.count + 1,))
            if ends[0] != 0 or ends[-1] != self._data_bytes or (np.diff(ends) < 0).any():
                del self._columns["offsets"]
                raise self._damaged("its offsets do not fit its data")
        return self._columns["offsets"]

    def _shapes_of(self, rows: slice | NDArray[np.int64]) -> NDArray[np.int32] | None:
        return self._column("shapes", "<i4", (self.layout.count, 3))[rows] if carries_shapes(self.layout) else None

    def _column(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """One of the arrays beside the pixels, read-only."""
        if name not in self._columns:
            self._reopen()
            column = np.empty(shape, dtype)
            flat = column.reshape(-1).view(np.uint8)
            for low, high, position in self._places[name].pieces(0, len(flat)):
                self._file.fill(flat[low:high], position)
            column.flags.writeable = False
            self._columns[name] = column
        return self._columns[name]

    def _damaged(self, why: str) -> ContainerDamaged:
        return ContainerDamaged(f"{self._path} is not a finished HDF5 container: {why}; make it again.")
