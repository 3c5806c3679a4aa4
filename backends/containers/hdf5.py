"""One HDF5 file: ``labels``, and ``images`` if all records are pixels of one size, else ``data`` and ``offsets``.

Raw images of mixed size have ``shapes`` too.  The attribute ``layout`` is written last and makes the file a container.
The low-level interface of h5py is used for reading, as the high-level one takes twice as long for a single image.
"""

from __future__ import annotations

import errno
import math
import os
import re
from contextlib import contextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING, Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5f, h5l, h5p, h5s

from backends.base import Backend
from backends.containers.fileio import MappedFile
from backends.containers.records import ArraysReader, ContainerWriter
from backends.errors import refusal
from backends.images import Layout

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.images import Records

LEAST_CHUNK_BYTES, MOST_CHUNK_BYTES = 1 << 12, 1 << 30


class HDF5(Backend):
    """One file that every HDF5 library reads."""

    name = "hdf5"

    def create(self, path: Path, layout: Layout) -> HDF5Writer:
        return HDF5Writer(path, layout)

    def open(self, path: Path) -> HDF5Reader:
        return HDF5Reader(path)


_PLAIN: dict[str, Any] = {"fill_time": "never", "track_times": False}
"""Of a dataset: no byte is written twice, and equal images make equal files."""


class HDF5Writer(ContainerWriter):
    """Writes each batch in one call: to a contiguous dataset, or to one that grows by chunks."""

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        # Not truncated: ext4 flushes a truncated file to the disk when it is closed.
        untimed = h5p.create(h5p.FILE_CREATE)
        untimed.set_obj_track_times(False)
        self._file = h5py.File(h5f.create(os.fsencode(self.path), h5f.ACC_EXCL, untimed, access()))
        self._pixels: Any = None
        if layout.record_bytes is not None:
            self._pixels = self._file.create_dataset("images", images_shape(layout), "u1", **_PLAIN)

    def append(self, records: Records) -> None:
        first = self.add(records)
        data = records.data[records.offsets[0] : records.offsets[-1]]
        with _os_errors():
            if self.layout.record_bytes is not None:
                self._pixels[first : self.filled] = data.reshape(images_shape(self.layout, len(records)))
                return
            if self._pixels is None:
                self._create_data(len(data) * self.layout.count // max(1, len(records)))
            end = int(self.offsets[self.filled])
            self._pixels.resize(end, axis=0)
            self._pixels[end - len(data) :] = data

    def finish(self) -> None:
        with _os_errors():
            if self._pixels is None:
                self._create_data(0)
            for name, column in self.columns().items():
                self._file.create_dataset(name, data=column, track_times=False)
            self._file.flush()
            self._file.attrs["layout"] = self.layout.to_json()
            self._file.flush()  # where the disk is full this fails, and closing would crash
        self._file.close()

    def remove(self) -> None:
        self._pixels = None
        if self._file:
            # HDF5 may crash when it closes a file that it cannot write: without datasets and bytes it needs no space.
            with suppress(RuntimeError):
                self._file.clear()
            with suppress(RuntimeError, OSError):
                os.truncate(self.path, 0)
                self._file.close()
        self.path.unlink(missing_ok=True)

    def _create_data(self, likely_bytes: int) -> None:
        """Create the empty dataset ``data``, which has about 64 chunks when it has grown to ``likely_bytes``."""
        chunk = min(max(1 << (likely_bytes // 64).bit_length(), LEAST_CHUNK_BYTES), MOST_CHUNK_BYTES)
        self._pixels = self._file.create_dataset("data", (0,), "u1", maxshape=(None,), chunks=(chunk,), **_PLAIN)


class HDF5Reader(ArraysReader):
    """Reads ranges by one call, and scattered records out of a map of the file: HDF5 takes 30 us for each."""

    kind = "HDF5 container"

    def __init__(self, path: Path) -> None:
        self._datasets: dict[str, h5d.DatasetID] = {}
        self._file: h5f.FileID | None = None
        super().__init__(path)

    def load(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        column = np.empty(shape, dtype)
        self._read(name, 0, column)
        return column

    def fill(self, first: int, into: NDArray[np.uint8]) -> None:
        if self.layout.record_bytes is None:
            self._read("data", first, into)
        else:
            self._read("images", first, into.reshape(images_shape(self.layout, len(into))))

    def take(self, rows: NDArray[np.int64], into: NDArray[np.uint8]) -> None:
        position = self._datasets["images"].get_offset()  # None where others have made chunks of it
        if position is not None and len(rows):
            self._mapped.take(rows, into, position, into.shape[1])
        else:
            for row, image in zip(rows.tolist(), into, strict=True):
                self.fill(row, image[np.newaxis])

    def release(self) -> None:
        self._mapped.close()
        self._datasets.clear()
        if self._file is not None:
            self._file.close()
        self._file = None

    def _open(self) -> Layout:
        self._mapped = MappedFile(self.path)
        try:
            self._file = h5f.open(os.fsencode(self.path), h5f.ACC_RDONLY, fapl=access())
            layout = read_layout(self._file)
            for name, (dtype, shape) in datasets_of(layout).items():
                self._datasets[name] = open_dataset(self._file, name, dtype, shape)
            if layout.record_bytes is None:
                self._chunks = chunks_of(self._datasets["data"])
                offsets = self.column("offsets", "<i8", (layout.count + 1,))
                self.check_offsets(offsets, self._datasets["data"].shape[0])
        except (OSError, KeyError, RuntimeError, TypeError, ValueError) as error:  # HDF5 raises any of them
            self.release()
            refused = refusal(error, self.path) if isinstance(error, OSError) else None
            raise refused or self.damaged(str(error)) from error
        return layout

    @property
    def is_open(self) -> bool:
        return self._file is not None

    def _read(self, name: str, first: int, into: NDArray[Any]) -> None:
        """Fill ``into`` with the rows of a dataset from ``first`` on."""
        if into.size:
            rows = self._datasets[name].get_space()
            rows.select_hyperslab((first, *(0 for _ in into.shape[1:])), into.shape)
            try:
                self._datasets[name].read(h5s.create_simple(into.shape), rows, into)
            except (OSError, RuntimeError) as error:
                raise self.damaged(f"{name} cannot be read ({error})") from error

    def gather(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.uint8]:
        positions, chunk_bytes = self._chunks
        chunks = starts // chunk_bytes
        spans_chunks = chunks != (stops - 1) // chunk_bytes  # of an empty record nothing is read either way
        begin = positions[chunks] + starts % chunk_bytes
        pieces = list(self._mapped.runs(begin, np.where(spans_chunks, begin, begin + stops - starts)))
        for index in np.flatnonzero(spans_chunks):
            piece = np.empty(stops[index] - starts[index], np.uint8)
            self._read("data", int(starts[index]), piece)
            pieces[index] = piece.data
        return np.frombuffer(b"".join(pieces), np.uint8)


@contextmanager
def _os_errors() -> Iterator[None]:
    """HDF5 says in its text why it cannot write: raised as the OSError that it is."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        found = re.search(r"errno = (\d+)", str(error))
        number = int(found[1]) if found else errno.EIO
        raise OSError(number, f"HDF5 cannot write: {os.strerror(number)}") from error


def datasets_of(layout: Layout) -> dict[str, tuple[str, tuple[int | None, ...]]]:
    """Type and shape of each dataset of a container; None for any length."""
    datasets: dict[str, tuple[str, tuple[int | None, ...]]] = {"labels": ("<i8", (layout.count,))}
    if layout.record_bytes is not None:
        return datasets | {"images": ("|u1", images_shape(layout))}
    if layout.carries_shapes:
        datasets["shapes"] = ("<i4", (layout.count, 3))
    return datasets | {"offsets": ("<i8", (layout.count + 1,)), "data": ("|u1", (None,))}


def images_shape(layout: Layout, count: int | None = None) -> tuple[int, ...]:
    """Shape of an array of ``count`` images of one size, or of all."""
    return (layout.count if count is None else count, *(layout.image_shape or ()))


def open_dataset(file: h5f.FileID, name: str, dtype: str, shape: tuple[int | None, ...]) -> h5d.DatasetID:
    """A dataset whose bytes are in this file, uncompressed.  Raises ValueError or KeyError if it is another."""
    if file.links.get_info(name.encode()).type != h5l.TYPE_HARD:
        raise ValueError(f"{name} is a link to elsewhere")
    dataset = h5d.open(file, name.encode())
    plan, found, stored_bytes = dataset.get_create_plist(), dataset.shape, dataset.get_storage_size()
    wanted = tuple(side if side is not None else length for side, length in zip(shape, found, strict=False))
    if dataset.dtype.str != dtype or found != wanted or len(found) != len(shape):
        raise ValueError(f"{name} has the type {dataset.dtype} and the shape {found}, not {dtype} and {shape}")
    if plan.get_external_count() or plan.get_nfilters() or plan.get_layout() not in (h5d.CONTIGUOUS, h5d.CHUNKED):
        raise ValueError(f"{name} is compressed or stored outside the file")
    if stored_bytes < math.prod(found) * dataset.dtype.itemsize:
        raise ValueError(f"{name} was never written")
    if (dataset.get_offset() or 0) + stored_bytes > file.get_filesize():
        raise ValueError(f"{name} lies beyond the end of the file")
    return dataset


def chunks_of(data: h5d.DatasetID) -> tuple[NDArray[np.int64], int]:
    """Where in the file each chunk of ``data`` begins, and one more, and how many bytes a chunk has."""
    plan, (size,) = data.get_create_plist(), data.shape
    if plan.get_layout() != h5d.CHUNKED:
        return np.full(2, data.get_offset() or 0), max(1, size)
    (chunk_bytes,) = plan.get_chunk()
    positions = np.zeros(size // chunk_bytes + 1, np.int64)
    data.chunk_iter(lambda chunk: positions.__setitem__(chunk.chunk_offset[0] // chunk_bytes, chunk.byte_offset))
    return positions, chunk_bytes


@cache
def access() -> h5p.PropFAID:
    """How files are opened: without a lock, as some filesystems have none, and without a cache of chunks."""
    access = h5p.create(h5p.FILE_ACCESS)
    access.set_file_locking(False, True)
    access.set_cache(0, 0, 0, 0.75)  # chunks are read and written in place: no filter has to see them whole
    access.set_sieve_buf_size(0)  # nothing is kept back that could not be written when a dataset is closed
    access.set_fclose_degree(h5f.CLOSE_STRONG)
    return access


def read_layout(file: h5f.FileID) -> Layout:
    """The attribute ``layout``."""
    attribute = h5a.open(file, b"layout")
    if attribute.shape != ():
        raise ValueError("the attribute 'layout' is not one text")
    text = np.empty((), attribute.dtype)
    attribute.read(text)
    return Layout.from_json(text.item())
