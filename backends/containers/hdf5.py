"""One HDF5 file: ``images`` where all records are pixels of one size, else ``data`` and ``offsets``; ``labels``.

Raw images of mixed size have ``shapes`` too.  The attribute ``layout`` is written last and makes the file a container.
The low-level interface of h5py is used: for single images the high-level one takes twice as long.
"""

from __future__ import annotations

import errno
import os
import re
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5l, h5p, h5s, h5t

from backends.base import Backend, Reader, Writer
from backends.containers.fileio import MappedFile
from backends.containers.records import Columns, row_buffer
from backends.errors import ContainerDamaged, refusal
from backends.images import Layout, Records, even_offsets, offsets_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

LEAST_CHUNK_BYTES, MOST_CHUNK_BYTES = 1 << 12, 1 << 30
_TYPES = {np.dtype("u1"): h5t.STD_U8LE, np.dtype("<i4"): h5t.STD_I32LE, np.dtype("<i8"): h5t.STD_I64LE}


class HDF5(Backend):
    """One file that every HDF5 library reads."""

    name = "hdf5"

    def create(self, path: Path, layout: Layout) -> HDF5Writer:
        return HDF5Writer(path, layout)

    def open(self, path: Path) -> HDF5Reader:
        return HDF5Reader(path)


class HDF5Writer(Writer):
    """Writes each batch as one slab: of a contiguous dataset, or of one that grows by chunks."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path, self._layout = path.absolute(), layout
        self._columns = Columns(layout)
        self._offsets = np.zeros(layout.count + 1, np.int64)
        self._end = 0
        # Not truncated: ext4 flushes a truncated file to the disk when it is closed.
        self._file = h5f.create(os.fsencode(self._path), h5f.ACC_EXCL, fapl=_access())
        self._is_open = True
        self._pixels: Any = None
        if layout.record_bytes is not None and layout.image_shape is not None:
            self._pixels = _create(self._file, "images", (layout.count, *layout.image_shape))

    def append(self, records: Records) -> None:
        first = self._columns.add(records)
        start, stop = int(records.offsets[0]), int(records.offsets[-1])
        data = records.data[start:stop]
        with _os_errors():
            if self._layout.record_bytes is not None and self._layout.image_shape is not None:
                _write(self._pixels, first, data.reshape(-1, *self._layout.image_shape))
                return
            self._offsets[first + 1 : first + len(records) + 1] = records.offsets[1:] - start + self._end
            if self._pixels is None:
                self._pixels = self._create_growing(len(data) * self._layout.count // max(1, len(records)))
            self._pixels.set_extent((self._end + len(data),))
            _write(self._pixels, self._end, data)
            self._end += len(data)

    def close(self) -> None:
        if not self._is_open:
            return
        try:
            self._columns.check_complete()
            with _os_errors():
                self._write_column("labels", self._columns.labels)
                if self._columns.shapes is not None:
                    self._write_column("shapes", self._columns.shapes)
                if self._layout.record_bytes is None:
                    self._pixels = self._pixels or self._create_growing(0)
                    self._write_column("offsets", self._offsets)
                h5f.flush(self._file)
                h5py.File(self._file).attrs["layout"] = self._layout.to_json()
                h5f.flush(self._file)  # where the disk is full this fails, and closing would crash
        except BaseException:
            self.abort()
            raise
        self._is_open = False
        self._file.close()

    def abort(self) -> None:
        self._columns.abort()
        if self._is_open:
            self._is_open = False
            # Without datasets and bytes, closing needs no space: HDF5 may crash where it cannot write what it holds.
            self._pixels = None
            with suppress(RuntimeError):
                for name in (b"images", b"data", b"labels", b"offsets", b"shapes"):
                    if self._file.links.exists(name):
                        self._file.unlink(name)
            with suppress(RuntimeError, OSError):
                os.truncate(self._path, 0)
                self._file.close()
        self._path.unlink(missing_ok=True)

    def _create_growing(self, likely_bytes: int) -> h5d.DatasetID:
        """The dataset ``data``, empty, in about 64 chunks if it grows to ``likely_bytes``."""
        chunk = 1 << (likely_bytes // 64).bit_length()
        chunks = (min(max(chunk, LEAST_CHUNK_BYTES), MOST_CHUNK_BYTES),)
        return _create(self._file, "data", (0,), chunks=chunks)

    def _write_column(self, name: str, column: NDArray[Any]) -> None:
        column = column.astype(column.dtype.newbyteorder("<"), copy=False)
        _write(_create(self._file, name, column.shape, column.dtype.str), 0, column)


class HDF5Reader(Reader):
    """Reads ranges by slabs, and gathers rows of a contiguous dataset out of a map of the file."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._columns: dict[str, NDArray[Any]] = {}
        self._datasets: dict[str, h5d.DatasetID] = {}
        self._file: h5f.FileID | None = None
        self.layout = self._open()

    def __reduce__(self) -> tuple[Any, ...]:
        return HDF5Reader, (self._path,)

    @property
    def labels(self) -> NDArray[np.int64]:
        return self._column("labels")

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        self._reopen()
        labels, shapes = self.labels[start:stop], self._shapes_of(slice(start, stop))
        if self.layout.record_bytes is None and out is None:
            ends = self._offsets()[start : stop + 1]
            data = np.empty(int(ends[-1] - ends[0]), np.uint8)
            self._read("data", int(ends[0]), data)
            return Records(data, ends - ends[0], labels, shapes)
        into = row_buffer(self.layout, stop - start, out)
        if self._position is not None:
            self._mapped.fill(into, self._position + start * into.shape[1])
        else:
            self._read("images", start, into.reshape(-1, *(self.layout.image_shape or ())))
        return Records(into.reshape(-1), even_offsets(*into.shape), labels)

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        self._reopen()
        labels, shapes = self.labels[rows], self._shapes_of(rows)
        if self.layout.record_bytes is None and out is None:
            starts, stops = self._offsets()[rows], self._offsets()[rows + 1]
            return Records(self._gather(starts, stops), offsets_of(stops - starts), labels, shapes)
        into = row_buffer(self.layout, len(rows), out)
        if self._position is not None and len(rows):
            self._mapped.take(rows, into, self._position, into.shape[1])
        else:
            images = into.reshape(-1, 1, *(self.layout.image_shape or ()))
            for index in np.argsort(rows):
                self._read("images", int(rows[index]), images[index])
        return Records(into.reshape(-1), even_offsets(*into.shape), labels)

    def close(self) -> None:
        self._mapped.close()
        self._datasets.clear()
        if self._file is not None:
            self._file.close()
        self._file = None

    def _open(self) -> Layout:
        self._mapped = MappedFile(self._path)
        try:
            self._file = h5f.open(os.fsencode(self._path), h5f.ACC_RDONLY, fapl=_access())
            layout = _read_layout(self._file)
            for name, dtype, shape in _datasets_of(layout):
                self._datasets[name] = _open_dataset(self._file, name, dtype, shape)
            if layout.record_bytes is None:
                self._chunks = _chunks_of(self._datasets["data"])
            else:
                self._position = self._datasets["images"].get_offset()  # None where others have made chunks of it
        except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:  # all of them are HDF5's refusals
            self.close()
            refused = refusal(error, self._path) if isinstance(error, OSError) else None
            raise refused or self._damaged(str(error)) from error
        return layout

    def _reopen(self) -> None:
        if self._file is None and self._open() != self.layout:
            self.close()
            raise self._damaged("its layout has changed since it was opened")

    def _read(self, name: str, first: int, into: NDArray[Any]) -> None:
        """Fill ``into`` with the rows of a dataset from ``first`` on."""
        if not into.size:
            return
        space = self._datasets[name].get_space()
        space.select_hyperslab((first, *(0 for _ in into.shape[1:])), into.shape)
        try:
            self._datasets[name].read(h5s.create_simple(into.shape), space, into)
        except (OSError, RuntimeError) as error:
            raise self._damaged(f"{name} cannot be read ({error})") from error

    def _gather(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.uint8]:
        """These pieces of ``data``, end to end: out of a map, as the library takes 30 us for each."""
        positions, chunk_bytes = self._chunks
        chunks = np.minimum(starts // chunk_bytes, len(positions) - 1)  # an empty record may begin at the very end
        is_cut = chunks != (stops - 1) // chunk_bytes
        begin = positions[chunks] + starts % chunk_bytes
        pieces = list(self._mapped.runs(begin, np.where(is_cut, begin, begin + stops - starts)))
        for index in np.flatnonzero(is_cut):
            piece = np.empty(stops[index] - starts[index], np.uint8)
            self._read("data", int(starts[index]), piece)
            pieces[index] = piece.data
        return np.frombuffer(b"".join(pieces), np.uint8)

    def _offsets(self) -> NDArray[np.int64]:
        """Where records start and end in ``data``, ``(count + 1,)``."""
        if "offsets" not in self._columns:
            ends = self._column("offsets")
            if ends[0] != 0 or ends[-1] != self._datasets["data"].shape[0] or (np.diff(ends) < 0).any():
                del self._columns["offsets"]
                raise self._damaged("its offsets do not fit its data")
        return self._columns["offsets"]

    def _shapes_of(self, rows: slice | NDArray[np.int64]) -> NDArray[np.int32] | None:
        return self._column("shapes")[rows] if self.layout.carries_shapes else None

    def _column(self, name: str) -> NDArray[Any]:
        """One of the arrays beside the pixels, read-only, loaded on first use."""
        if name not in self._columns:
            self._reopen()
            column = np.empty(self._datasets[name].shape, self._datasets[name].dtype)
            self._read(name, 0, column)
            column.flags.writeable = False
            self._columns[name] = column
        return self._columns[name]

    def _damaged(self, why: str) -> ContainerDamaged:
        return ContainerDamaged(f"{self._path} is not a finished HDF5 container: {why}; make it again.")


def _datasets_of(layout: Layout) -> list[tuple[str, str, tuple[int | None, ...]]]:
    """Name, type and shape of each dataset of a container; None for any length."""
    labels = ("labels", "<i8", (layout.count,))
    if layout.record_bytes is not None and layout.image_shape is not None:
        return [labels, ("images", "u1", (layout.count, *layout.image_shape))]
    shapes = [("shapes", "<i4", (layout.count, 3))] if layout.carries_shapes else []
    return [labels, *shapes, ("offsets", "<i8", (layout.count + 1,)), ("data", "u1", (None,))]


def _create(
    file: h5f.FileID, name: str, shape: tuple[int, ...], dtype: str = "u1", chunks: tuple[int] | None = None
) -> h5d.DatasetID:
    """A new dataset that is not filled before it is written; with ``chunks``, one that grows."""
    properties = h5p.create(h5p.DATASET_CREATE)
    properties.set_fill_time(h5d.FILL_TIME_NEVER)
    if chunks is not None:
        properties.set_chunk(chunks)
    space = h5s.create_simple(shape, (h5s.UNLIMITED,) if chunks is not None else shape)
    return h5d.create(file, name.encode(), _TYPES[np.dtype(dtype)], space, properties)


def _write(dataset: h5d.DatasetID, first: int, array: NDArray[Any]) -> None:
    """Write ``array`` over the rows of a dataset from ``first`` on."""
    if array.size:
        space = dataset.get_space()
        space.select_hyperslab((first, *(0 for _ in array.shape[1:])), array.shape)
        dataset.write(h5s.create_simple(array.shape), space, np.ascontiguousarray(array))


def _open_dataset(file: h5f.FileID, name: str, dtype: str, shape: tuple[int | None, ...]) -> h5d.DatasetID:
    """A dataset whose bytes are in this file, uncompressed.

    Raises
    ------
    ValueError, KeyError
        There is none, or it is not of this type and shape (None: any length).
    """
    if file.links.get_info(name.encode()).type != h5l.TYPE_HARD:
        raise ValueError(f"{name} is a link to elsewhere")
    dataset = h5d.open(file, name.encode())
    plan, there = dataset.get_create_plist(), dataset.shape
    if not dataset.get_type().equal(_TYPES[np.dtype(dtype)]) or len(there) != len(shape):
        raise ValueError(f"{name} is not an array of {np.dtype(dtype)} with {len(shape)} dimensions")
    if any(wanted not in (None, side) for wanted, side in zip(shape, there, strict=True)):
        raise ValueError(f"{name} has the shape {there}, not {shape}")
    if plan.get_external_count() or plan.get_nfilters() or plan.get_layout() not in (h5d.CONTIGUOUS, h5d.CHUNKED):
        raise ValueError(f"{name} is compressed or stored outside the file")
    if dataset.get_storage_size() < np.prod(there, dtype=object) * np.dtype(dtype).itemsize:
        raise ValueError(f"{name} was never written")
    if (dataset.get_offset() or 0) + dataset.get_storage_size() > file.get_filesize():
        raise ValueError(f"{name} lies beyond the end of the file")
    return dataset


def _chunks_of(data: h5d.DatasetID) -> tuple[NDArray[np.int64], int]:
    """Where in the file each chunk of a dataset of one dimension begins, and how many bytes a chunk has."""
    if (position := data.get_offset()) is not None:
        return np.array([position]), max(1, data.shape[0])
    if not data.shape[0]:
        return np.zeros(1, np.int64), 1
    (chunk_bytes,) = data.get_create_plist().get_chunk()
    positions = np.full(-(-data.shape[0] // chunk_bytes), -1)
    data.chunk_iter(lambda chunk: positions.__setitem__(chunk.chunk_offset[0] // chunk_bytes, chunk.byte_offset))
    if (positions < 0).any():
        raise ValueError("a part of data was never written")
    return positions, chunk_bytes


@cache
def _access() -> h5p.PropFAID:
    """How files are opened: without a lock, as some filesystems have none, and without a cache of chunks."""
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_file_locking(False, True)
    access.set_cache(0, 0, 0, 0.75)  # chunks are read and written in place: no filter has to see them whole
    access.set_sieve_buf_size(0)  # nothing is kept back that could not be written when a dataset is closed
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    return access


def _read_layout(file: h5f.FileID) -> Layout:
    """The attribute ``layout``; the high-level interface takes longer for it than all else takes for an image."""
    attribute = h5a.open(file, b"layout")
    if attribute.shape != ():
        raise ValueError("the attribute 'layout' is not one text")
    text = np.empty((), attribute.dtype)
    attribute.read(text)
    return Layout.from_json(text.item())


@contextmanager
def _os_errors() -> Iterator[None]:
    """HDF5 says in its text why it cannot write: raised as the OSError that it is."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        found = re.search(r"errno = (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, f"HDF5 cannot write: {os.strerror(number)}") from error
