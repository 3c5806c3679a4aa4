"""An LMDB environment: big-endian 64-bit keys with the bare record as value, then `labels`, `layout`, `shapes`."""

from __future__ import annotations

import errno
import math
import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import lmdb
import numpy as np

from backends.base import Backend, Reader, Writer
from backends.batch import Columns, carries_shapes, join_records, row_buffer
from backends.errors import ContainerDamaged, ImgstoreError, NotAllowed
from backends.images import Layout, Records, even_offsets
from backends.lmdb_tree import FEW_ROWS, PAGE_HEADER, Tree
from backends.mapped_file import MappedFile

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Item = tuple[bytes, memoryview]

DATA_FILE = "data.mdb"
FIRST_MAP_BYTES = 1 << 28
TRANSACTION_BYTES = 1 << 19
"""Pages wait in memory for the end of their transaction: so few are reused, more are fresh memory, twice as slow.

In a new process malloc gives what held large values back to the system after each transaction, where it was more.
"""
NEARLY_FULL_BYTES = 1 << 21
"""What may be left on a disk besides the room that a transaction did not find."""
MAX_VALUE_BYTES = (1 << 32) - 1
SHORT_RUN = 8
"""Where fewer follow one another, rows are gathered one by one."""


class LMDB(Backend):
    """A folder with data.mdb, in the format of LMDB 0.9, which every LMDB reads."""

    name, title = "lmdb", "LMDB environment"

    def create(self, path: Path, layout: Layout) -> LMDBWriter:
        return LMDBWriter(path, layout)

    def open(self, path: Path) -> LMDBReader:
        return LMDBReader(path)


class LMDBWriter(Writer):
    """Appends in ascending order of keys; the map doubles whenever it is full.

    Parameters
    ----------
    map_bytes
        Size of the first map: address space, not disk.
    """

    def __init__(self, path: Path, layout: Layout, map_bytes: int = FIRST_MAP_BYTES) -> None:
        self._path = path.absolute()
        self._layout = layout
        self._columns = Columns(layout, MAX_VALUE_BYTES)
        self._environment: lmdb.Environment | None = None
        self._path.mkdir()
        try:
            self._environment = lmdb.open(
                str(self._path), map_size=map_bytes, lock=False, sync=False, metasync=False, meminit=False, mode=0o666
            )
        except lmdb.Error as error:
            self.abort()
            raise _os_error(error, self._path.parent) from error

    def append(self, records: Records) -> None:
        first = self._columns.add(records)
        keys = _keys(np.arange(first, first + len(records)))
        data, ends = records.data.data, records.offsets.tolist()
        values = (data[start:stop] for start, stop in pairwise(ends))
        for items in _bounded(zip(keys, values, strict=True)):
            self._commit(items)

    def close(self) -> None:
        if self._environment is None:
            return
        try:
            self._columns.check_complete()
            self._commit([(b"labels", self._columns.labels.data)])
            last = [(b"layout", memoryview(self._layout.to_json().encode()))]
            if self._columns.shapes is not None:
                last.append((b"shapes", self._columns.shapes.data))
            self._commit(last)
        except BaseException:
            self.abort()
            raise
        self._release()

    def abort(self) -> None:
        self._release()
        (self._path / DATA_FILE).unlink(missing_ok=True)
        if self._path.is_dir() and not any(self._path.iterdir()):
            self._path.rmdir()

    def _commit(self, items: list[Item]) -> None:
        """Put ``items`` in one transaction; where the map is full, it doubles and they are put again."""
        if self._environment is None:
            raise ValueError(f"{self._path} is closed.")
        while True:
            try:
                with self._environment.begin(write=True) as transaction:
                    transaction.cursor().putmulti(items, append=True)
                return
            except lmdb.MapFullError:
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])
            except lmdb.Error as error:
                raise _os_error(error, self._path, sum(len(value) for _, value in items)) from error

    def _release(self) -> None:
        if self._environment is not None:
            self._environment.close()
        self._environment = None


class LMDBReader(Reader):
    """Finds values through the pages of the file, and copies them out of a map of it; those of a range it reads."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._columns: dict[bytes, NDArray[Any]] = {}
        self._opened: tuple[MappedFile, Tree] | None = None
        self.layout = self._open()

    def __reduce__(self) -> tuple[Any, ...]:
        return LMDBReader, (self._path,)

    @property
    def labels(self) -> NDArray[np.int64]:
        return self._column(b"labels", "<i8", (self.layout.count,))

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        rows = np.arange(start, stop)
        file, starts, stops = self._spans(rows)
        if self._have_pages(starts, stops):
            into = row_buffer(self.layout, len(rows), out)
            distance = -(-(PAGE_HEADER.size + into.shape[1]) // self._page_bytes) * self._page_bytes
            bounds = [0, *(np.flatnonzero(np.diff(starts) != distance) + 1).tolist(), len(rows)]
            if len(bounds) * SHORT_RUN < len(rows):
                for low, high in pairwise(bounds):
                    file.fill_rows(into[low:high], int(starts[low]), distance)
                return Records(into.reshape(-1), even_offsets(*into.shape), self.labels[rows])
        return self._gather(rows, file, starts, stops, out)

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        return self._gather(rows, *self._spans(rows), out)

    def close(self) -> None:
        if self._opened is not None:
            self._opened[0].close()
        self._opened = None

    def _gather(
        self,
        rows: NDArray[np.int64],
        file: MappedFile,
        starts: NDArray[np.int64],
        stops: NDArray[np.int64],
        out: NDArray[np.uint8] | None,
    ) -> Records:
        if self._have_pages(starts, stops):
            into = row_buffer(self.layout, len(rows), out)
            file.take(starts // self._page_bytes, into, PAGE_HEADER.size, self._page_bytes)
            return Records(into.reshape(-1), even_offsets(*into.shape), self.labels[rows])
        shapes = self._column(b"shapes", "<i4", (self.layout.count, 3))[rows] if carries_shapes(self.layout) else None
        data, offsets = join_records(file.runs(starts, stops), rows, self.layout, out, str(self._path))
        return Records(data, offsets, self.labels[rows], shapes)

    def _have_pages(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> bool:
        """Whether these are more than a few values, of one size, that have pages of their own."""
        size = self.layout.record_bytes
        if size is None or len(starts) <= FEW_ROWS:
            return False
        return bool((stops - starts == size).all() and (starts % self._page_bytes == PAGE_HEADER.size).all())

    def _spans(self, rows: NDArray[np.int64]) -> tuple[MappedFile, NDArray[np.int64], NDArray[np.int64]]:
        """The file, and where in it the records of ``rows`` start and stop."""
        file, tree = self._file()
        try:
            return file, *tree.spans(rows)
        except ValueError as error:
            raise self._damaged(str(error)) from error

    def _file(self) -> tuple[MappedFile, Tree]:
        if self._opened is None and self._open() != self.layout:
            self.close()
            raise self._damaged("its layout has changed since it was opened")
        assert self._opened is not None
        return self._opened

    def _open(self) -> Layout:
        try:
            file = MappedFile(self._path / DATA_FILE, os.O_NOFOLLOW)
        except ImgstoreError:
            raise
        except OSError as error:
            self._path.stat()
            raise self._damaged(f"{DATA_FILE} cannot be read ({error.strerror})") from error
        try:
            layout = self._read_layout(file)
        except BaseException:
            file.close()
            raise
        return layout

    def _read_layout(self, file: MappedFile) -> Layout:
        data = file.mapped() if file.size else np.empty(0, np.uint8)
        if data is None:
            raise NotAllowed(
                f"{self._path} cannot be mapped into memory, as LMDB needs: put it on another filesystem, or choose"
                " another backend."
            )
        try:
            tree = Tree(data)
            self._page_bytes = tree.page_bytes
            self._opened = file, tree
            layout = Layout.from_json(tree.value(b"layout").tobytes())
            if layout.count * (layout.record_bytes or 0) > file.size:
                raise ValueError("it promises more images than there are")
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(str(error)) from error
        return layout

    def _column(self, key: bytes, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """One of the arrays beside the images, read-only, loaded on first use."""
        if key not in self._columns:
            _, tree = self._file()
            try:
                found = tree.value(key).tobytes()
            except ValueError as error:
                raise self._damaged(str(error)) from error
            if len(found) != np.dtype(dtype).itemsize * math.prod(shape):
                raise self._damaged(f"the key {key.decode()!r} is missing or has not {math.prod(shape):,} values")
            self._columns[key] = np.frombuffer(found, dtype).reshape(shape)
        return self._columns[key]

    def _damaged(self, why: str) -> ContainerDamaged:
        return ContainerDamaged(f"{self._path} is not a finished LMDB container: {why}; make it again.")


def _keys(rows: NDArray[np.int64]) -> list[bytes]:
    keys: list[bytes] = rows.astype(">u8").view("V8").tolist()
    return keys


def _bounded(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Split ``items`` into lists of about ``TRANSACTION_BYTES``."""
    some: list[Item] = []
    total = 0
    for item in items:
        some.append(item)
        total += len(item[1])
        if total >= TRANSACTION_BYTES:
            yield some
            some, total = [], 0
    if some:
        yield some


def _os_error(error: lmdb.Error, path: Path, wanted: int = 0) -> OSError:
    """LMDB calls a write that a full disk cut short an input/output error; ``wanted``: its bytes."""
    number = max(error.code, 0) or errno.EIO
    if number == errno.EIO:
        disk = os.statvfs(path)
        if disk.f_bavail * disk.f_frsize < wanted + NEARLY_FULL_BYTES:
            number = errno.ENOSPC
    return OSError(number, f"LMDB cannot write: {os.strerror(number)}")
