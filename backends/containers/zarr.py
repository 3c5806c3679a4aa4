"""A zarr group of version 3: ``labels``, and ``images`` if all are pixels of one size, else ``data`` and ``offsets``.

Raw images of mixed size have ``shapes`` too.  Pixels lie in shards of uncompressed chunks.  The group's attribute
``layout`` is written last and makes the folder a container.
"""

from __future__ import annotations

import os
import shutil
import threading
import weakref
from contextlib import closing, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import numpy as np
import zarr
from zarr.abc.store import OffsetByteRequest, RangeByteRequest, SuffixByteRequest
from zarr.buffer.cpu import NDBuffer, buffer_prototype
from zarr.storage import LocalStore

from backends.base import Backend
from backends.containers.fileio import MappedFile, open_folder, slices
from backends.containers.records import ArraysReader, ContainerWriter
from backends.errors import ImgstoreError
from backends.images import Layout, Records, offsets_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray
    from zarr.abc.store import ByteRequest
    from zarr.core.buffer import Buffer, BufferPrototype

CHUNK_BYTES, SHARD_BYTES = 1 << 16, 1 << 24
"""zarr takes 0.2 ms for a chunk, however small: larger ones would read more around a single image."""
GATHERED_BYTES = 1 << 22
"""Of ``data``, so much is gathered by one call, which has an index of 8 bytes for each."""


class Zarr(Backend):
    """A folder that ``zarr.open`` reads."""

    name = "zarr"

    def create(self, path: Path, layout: Layout) -> ZarrWriter:
        return ZarrWriter(path, layout)

    def open(self, path: Path) -> ZarrReader:
        return ZarrReader(path)


class ZarrWriter(ContainerWriter):
    """Collects a whole shard of pixels before it is written: zarr would read and write one again for each batch."""

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        size = layout.record_bytes or 1
        self._chunk = max(1, CHUNK_BYTES // size)
        self._shard = np.empty((self._chunk * max(1, SHARD_BYTES // (self._chunk * size)), size), np.uint8)
        self._filled = self._end = 0
        self._pixels: Any = None
        self._arrays: list[str] = []
        self.path.mkdir()
        self._store = NewStore(self.path)
        try:
            self._group = zarr.create_group(self._store, zarr_format=3)
        except BaseException:
            self.abort()
            raise

    def append(self, records: Records) -> None:
        self.add(records)
        rows = records.data[records.offsets[0] : records.offsets[-1]].reshape(-1, self._shard.shape[1])
        while len(rows):
            some = rows[: len(self._shard) - self._filled]
            self._shard[self._filled : self._filled + len(some)] = some
            self._filled, rows = self._filled + len(some), rows[len(some) :]
            if self._filled == len(self._shard):
                self._write_shard()

    def finish(self) -> None:
        self._write_shard()
        for name, column in self.columns().items():
            self._create(name, column.shape, column.dtype, max(1, len(column)))[:] = column
        self._group.attrs["layout"] = self.layout.to_json()

    def remove(self) -> None:
        self._store.end()
        for name in self._arrays:
            shutil.rmtree(self.path / name, ignore_errors=True)
        with suppress(OSError):
            (self.path / "zarr.json").unlink(missing_ok=True)
            self.path.rmdir()

    def _write_shard(self) -> None:
        """Write what was collected."""
        stop, (name, shape) = self._end + self._filled, _pixels_of(self.layout, 0)
        if self._pixels is None:
            chunk = max(1, min(self._chunk, self._filled))  # a chunk is written whole, whatever is in it
            shard = len(self._shard) // self._chunk * chunk
            self._pixels = self._create(name, shape, np.dtype("u1"), chunk, shard)
        if self._filled:
            self._pixels.resize((max(stop, shape[0]), *shape[1:]))
            self._pixels[self._end : stop] = self._shard[: self._filled].reshape(-1, *self._pixels.shape[1:])
        self._end, self._filled = stop, 0

    def _create(self, name: str, shape: tuple[int, ...], dtype: np.dtype[Any], chunk: int, shard: int = 0) -> Any:
        self._arrays.append(name)
        return self._group.create_array(
            name,
            shape=shape,
            dtype=dtype,
            chunks=(chunk, *shape[1:]),
            shards=(shard, *shape[1:]) if shard else None,
            compressors=None,
            filters=None,
            chunk_key_encoding={"name": "default", "separator": "."},  # no folder for each dimension
            config={"write_empty_chunks": True},  # one that is all zeros is a file as well, and its loss is noticed
        )


class NewStore(LocalStore):
    """A folder in which nothing is written any more once it has ended, whatever tasks of zarr are still waiting."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self._lock, self._ended = threading.Lock(), False

    def end(self) -> None:
        with self._lock:
            self._ended = True

    async def set(self, key: str, value: Buffer) -> None:
        with self._lock:
            if self._ended:
                raise ValueError("this writer was aborted.")
            (self.root / key).parent.mkdir(exist_ok=True)
            (self.root / key).write_bytes(value.as_buffer_like())

    async def set_if_not_exists(self, key: str, value: Buffer) -> None:
        if not (self.root / key).exists():
            await self.set(key, value)


class WholeStore(LocalStore):
    """A folder, held open, in which a missing file is damage: zarr itself reads a missing chunk as zeros.

    Files are read at once, not in a thread for each, which takes half as long.
    """

    def __init__(self, root: Path) -> None:
        super().__init__(root, read_only=True)
        self._descriptor = open_folder(root)
        self.close_folder = weakref.finalize(self, os.close, self._descriptor)

    async def get(
        self, key: str, prototype: BufferPrototype | None = None, byte_range: ByteRequest | None = None
    ) -> Buffer:
        with closing(MappedFile(self.root / key, self._descriptor, key)) as file:
            start, stop = 0, file.size
            match byte_range:
                case RangeByteRequest():
                    start, stop = byte_range.start, byte_range.end
                case OffsetByteRequest():
                    start = byte_range.offset
                case SuffixByteRequest():
                    start = max(0, stop - byte_range.suffix)
            data = np.empty(stop - start, np.uint8)
            file.fill(data, start)
        return (prototype or buffer_prototype).buffer.from_array_like(data)


class ZarrReader(ArraysReader):
    """Reads ranges into the caller's array, and scattered records in the order of their chunks."""

    kind = "zarr container"

    def load(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        with self._refusals():
            return np.asarray(self._array(name, shape, dtype)[:])

    def fill(self, first: int, into: NDArray[np.uint8]) -> None:
        self._read(slice(first, first + len(into)), into)

    def take(self, rows: NDArray[np.int64], into: NDArray[np.uint8]) -> None:
        ordered, back = np.unique(rows, return_inverse=True)
        pixels = np.empty((len(ordered), into.shape[1]), np.uint8)
        self._read(ordered, pixels)
        pixels.take(back, axis=0, out=into, mode="clip")

    def gather(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.uint8]:
        ordered, back = np.unique(np.stack([starts, stops]), axis=1, return_inverse=True)
        pieces: list[memoryview] = []
        for first, last in np.array_split(ordered, 1 + int((stops - starts).sum()) // GATHERED_BYTES, axis=1):
            edges = offsets_of(last - first)
            data = np.empty(edges[-1], np.uint8)
            self._read(np.repeat(first - edges[:-1], last - first) + np.arange(edges[-1]), data)
            pieces += slices(data, edges[:-1], edges[1:])
        return np.frombuffer(b"".join([pieces[row] for row in back.tolist()]), np.uint8)

    @property
    def is_open(self) -> bool:
        return self._store.close_folder.alive

    def release(self) -> None:
        self._store.close_folder()

    def _open(self) -> Layout:
        self._store = WholeStore(self.path)
        try:
            with self._refusals():
                self._group = zarr.open_group(self._store, mode="r", zarr_format=3, use_consolidated=False)
                layout = Layout.from_json(self._group.attrs["layout"])
                if layout.record_bytes is not None:
                    self._pixels = self._array(*_pixels_of(layout, 0), "|u1")
                    return layout
                offsets = self.column("offsets", "<i8", (layout.count + 1,))
                self._pixels = self._array(*_pixels_of(layout, int(offsets[-1])), "|u1")
                self.check_offsets(offsets, self._pixels.shape[0])
                return layout
        except BaseException:
            self.release()
            raise

    def _read(self, rows: slice | NDArray[np.int64], into: NDArray[np.uint8]) -> None:
        """Fill ``into`` with these rows of the pixels, which ascend."""
        if len(into):
            target = NDBuffer.from_numpy_array(into.reshape(-1, *self._pixels.shape[1:]))
            with self._refusals():
                if isinstance(rows, slice):
                    self._pixels.get_basic_selection(rows, out=target)
                else:
                    self._pixels.get_orthogonal_selection(rows, out=target)

    def _array(self, name: str, shape: tuple[int, ...], dtype: str) -> Any:
        array: Any = self._group[name]
        if array.shape != shape or array.dtype.str != dtype:
            raise ValueError(f"{name} has the type {array.dtype} and the shape {array.shape}, not {dtype} and {shape}")
        return array

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """What zarr cannot read is raised as damage: it has no base class for its errors."""
        try:
            yield
        except ImgstoreError:
            raise
        except (OSError, ValueError, LookupError, TypeError, AttributeError, MemoryError) as error:
            raise self.damaged(str(error)) from error


def _pixels_of(layout: Layout, data_bytes: int) -> tuple[str, tuple[int, ...]]:
    """The array of the pixels, or of the bytes of records, and its shape."""
    if layout.record_bytes is None or layout.image_shape is None:
        return "data", (data_bytes,)
    return "images", (layout.count, *layout.image_shape)
