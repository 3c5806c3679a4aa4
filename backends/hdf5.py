"""One HDF5 file: ``images`` where all records are pixels of one size, else ``data`` and ``offsets``; ``labels``.

The HDF5 library keeps the structure; pixels move straight between memory and the places in the file that it allotted
to them.  So bytes flow at the speed of the file, outside the library's lock, and a full disk is an ordinary OSError.
"""

from __future__ import annotations

import mmap
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from h5py import h5a, h5d, h5f, h5p, h5s, h5t, string_dtype

from backends.base import Backend, Reader, Writer
from backends.batch import Columns, carries_shapes, row_buffer
from backends.errors import ContainerDamaged
from backends.images import Layout, Records, even_offsets
from backends.transfer import read_at, write_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

PAGE = 4_096
CHUNK_BYTES = 1 << 20


class HDF5(Backend):
    """One file that every HDF5 library reads."""

    name, title = "hdf5", "HDF5 file"

    def create(self, path: Path, layout: Layout) -> HDF5Writer:
        return HDF5Writer(path, layout)

    def open(self, path: Path) -> HDF5Reader:
        return HDF5Reader(path)


@dataclass(frozen=True, slots=True)
class Extent:
    """A run of a dataset's bytes: ``start`` to ``stop`` lie at ``position`` of the file."""

    start: int
    stop: int
    position: int


class HDF5Writer(Writer):
    """Has HDF5 allot the space of each dataset, and writes the bytes there; closing writes the structure."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path.absolute()
        self._layout = layout
        self._columns = Columns(layout)
        self._offsets = np.zeros(layout.count + 1, np.int64)
        self._end = 0
        access = h5p.create(h5p.FILE_ACCESS)
        access.set_alignment(PAGE, PAGE)
        access.set_fclose_degree(h5f.CLOSE_STRONG)
        self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        self._file = h5f.create(os.fsencode(self._path), h5f.ACC_TRUNC, fapl=access)
        self._pixels: h5d.DatasetID | None = None
        self._extents: list[Extent] = []
        if layout.record_bytes is not None:
            self._pixels = self._allot("images", np.dtype(np.uint8), (layout.count, *(layout.image_shape or ())))
            self._extents = _extents(self._pixels, layout.count * layout.record_bytes)

    def append(self, records: Records) -> None:
        first = self._columns.add(records)
        start, stop = int(records.offsets[0]), int(records.offsets[-1])
        data = records.data[start:stop]
        if self._layout.record_bytes is None:
            self._offsets[first + 1 : first + len(records) + 1] = records.offsets[1:] - start + self._end
            self._grow(len(data), len(records))
        for a, b, position in _pieces(self._extents, self._end, self._end + len(data)):
            write_at(self._descriptor, data[a:b], position)
        self._end += len(data)

    def close(self) -> None:
        if self._descriptor < 0:
            return
        try:
            self._columns.check_complete()
            self._write_column("labels", self._columns.labels)
            if self._layout.record_bytes is None:
                self._grow(0, 1)
                self._write_column("offsets", self._offsets)
            if self._columns.shapes is not None:
                self._write_column("shapes", self._columns.shapes)
            self._write_layout()
            self._file.close()
        except BaseException:
            self.abort()
            raise
        self._release()

    def abort(self) -> None:
        if self._descriptor >= 0:
            os.ftruncate(self._descriptor, 0)
            self._file.close()
            self._release()
        self._path.unlink(missing_ok=True)

    def _grow(self, more: int, count: int) -> None:
        """Make room for ``more`` bytes behind those of ``data``."""
        if self._pixels is None:
            likely = more * self._layout.count // max(count, 1) // 16
            properties = _properties()
            properties.set_chunk((min(max(PAGE, 1 << likely.bit_length()), CHUNK_BYTES),))
            space = h5s.create_simple((0,), (h5s.UNLIMITED,))
            self._pixels = h5d.create(self._file, b"data", h5t.STD_U8LE, space, properties)
        self._pixels.set_extent((self._end + more,))
        self._extents = _extents(self._pixels, self._end + more)

    def _allot(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> h5d.DatasetID:
        properties = _properties()
        properties.set_layout(h5d.CONTIGUOUS)
        kind = h5t.py_create(dtype)
        return h5d.create(self._file, name.encode(), kind, h5s.create_simple(shape), properties)

    def _write_column(self, name: str, column: NDArray[Any]) -> None:
        column = column.astype(column.dtype.newbyteorder("<"), copy=False)
        if column.size:
            write_at(self._descriptor, column, self._allot(name, column.dtype, column.shape).get_offset())
        else:
            self._allot(name, column.dtype, column.shape)

    def _write_layout(self) -> None:
        kind = h5t.C_S1.copy()
        kind.set_size(h5t.VARIABLE)
        kind.set_cset(h5t.CSET_UTF8)
        attribute = h5a.create(self._file, b"layout", kind, h5s.create(h5s.SCALAR))
        attribute.write(np.array(self._layout.to_json(), string_dtype()))

    def _release(self) -> None:
        os.close(self._descriptor)
        self._descriptor = -1


class HDF5Reader(Reader):
    """Looks up once where the bytes of each dataset lie, then reads them by ``preadv`` or through a map."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._descriptor = -1
        self._map: mmap.mmap | None = None
        self._columns: dict[str, NDArray[Any]] = {}
        self._open()

    def __reduce__(self) -> tuple[Any, ...]:
        return HDF5Reader, (self._path,)

    @property
    def labels(self) -> NDArray[np.int64]:
        return self._column("labels", "<i8", (self.layout.count,))

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        if self._descriptor < 0:
            self._open()
        size = self.layout.record_bytes
        if size is not None or out is not None:
            data = row_buffer(self.layout, stop - start, out)
            offsets = even_offsets(*data.shape)
            first = start * data.shape[1]
        else:
            offsets = self._offsets()[start : stop + 1]
            first = int(offsets[0])
            offsets = offsets - first
            data = np.empty(int(offsets[-1]), np.uint8)
        flat = data.reshape(-1)
        for a, b, position in _pieces(self._pixels, first, first + len(flat)):
            read_at(self._descriptor, flat[a:b], position, str(self._path))
        return Records(flat, offsets, self.labels[start:stop].copy(), self._shapes_of(slice(start, stop)))

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        if self._descriptor < 0:
            self._open()
        if self._map is None:
            self._map = mmap.mmap(self._descriptor, 0, prot=mmap.PROT_READ)
        labels, shapes = self.labels[rows], self._shapes_of(rows)
        if self.layout.record_bytes is not None or out is not None:
            into = row_buffer(self.layout, len(rows), out)
            if len(rows):
                (extent,) = self._pixels
                source = np.frombuffer(self._map, np.uint8, extent.stop, extent.position)
                source.reshape(-1, into.shape[1]).take(rows, axis=0, out=into)
            return Records(into.reshape(-1), even_offsets(*into.shape), labels, shapes)
        ends = self._offsets()
        parts: list[bytes] = []
        for start, stop in zip(ends[rows].tolist(), ends[rows + 1].tolist(), strict=True):
            parts.extend(self._map[p : p + b - a] for a, b, p in _pieces(self._pixels, start, stop))
        offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(ends[rows + 1] - ends[rows])])
        return Records(np.frombuffer(b"".join(parts), np.uint8), offsets, labels, shapes)

    def close(self) -> None:
        if self._map is not None:
            self._map.close()
        if self._descriptor >= 0:
            os.close(self._descriptor)
        self._map, self._descriptor = None, -1

    def _open(self) -> None:
        self._descriptor = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            file = h5f.open(os.fsencode(self._path), h5f.ACC_RDONLY)
            try:
                self._look_up(file)
            finally:
                file.close()
        except (OSError, KeyError, TypeError, ValueError) as error:
            self.close()
            raise self._damaged(str(error)) from error

    def _look_up(self, file: h5f.FileID) -> None:
        attribute = h5a.open(file, b"layout")
        text = np.empty((), attribute.dtype)
        attribute.read(text)
        self.layout = Layout.from_json(text.item())
        size = self.layout.record_bytes
        if size is not None:
            images = h5d.open(file, b"images")
            self._pixels = _extents(images, self.layout.count * size)
        else:
            data = h5d.open(file, b"data")
            self._pixels = _extents(data, data.shape[0])
        names = ["labels", *(["offsets"] if size is None else []), *(["shapes"] if carries_shapes(self.layout) else [])]
        self._places = {name: h5d.open(file, name.encode()).get_offset() for name in names}

    def _offsets(self) -> NDArray[np.int64]:
        return self._column("offsets", "<i8", (self.layout.count + 1,))

    def _shapes_of(self, rows: slice | NDArray[np.int64]) -> NDArray[np.int32] | None:
        if not carries_shapes(self.layout):
            return None
        return np.array(self._column("shapes", "<i4", (self.layout.count, 3))[rows])

    def _column(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        if name not in self._columns:
            if self._descriptor < 0:
                self._open()
            column = np.empty(shape, dtype)
            if column.size:
                read_at(self._descriptor, column, self._places[name], str(self._path))
            self._columns[name] = column
        return self._columns[name]

    def _damaged(self, why: str) -> ContainerDamaged:
        return ContainerDamaged(f"{self._path} is not a finished HDF5 container: {why}; make it again from its source.")


def _properties() -> h5p.PropDCID:
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_alloc_time(h5d.ALLOC_TIME_EARLY)
    properties.set_fill_time(h5d.FILL_TIME_NEVER)
    return properties


def _extents(dataset: h5d.DatasetID, size: int) -> list[Extent]:
    """Where the ``size`` bytes of a dataset lie in the file, in order, neighbours joined."""
    if size == 0:
        return []
    if dataset.get_create_plist().get_layout() == h5d.CONTIGUOUS:
        return [Extent(0, size, dataset.get_offset())]
    found: list[tuple[int, int, int]] = []
    dataset.chunk_iter(lambda chunk: found.append((chunk.chunk_offset[0], chunk.size, chunk.byte_offset)))
    extents: list[Extent] = []
    for start, length, position in sorted(found):
        stop = min(start + length, size)
        if extents and extents[-1].position + extents[-1].stop - extents[-1].start == position:
            extents[-1] = Extent(extents[-1].start, stop, extents[-1].position)
        else:
            extents.append(Extent(start, stop, position))
    return extents


def _pieces(extents: list[Extent], start: int, stop: int) -> Iterator[tuple[int, int, int]]:
    """Cut bytes ``start`` to ``stop`` of a dataset at its extents: from, to (relative to ``start``), file position."""
    for extent in extents:
        low, high = max(start, extent.start), min(stop, extent.stop)
        if low < high:
            yield low - start, high - start, extent.position + low - extent.start
