"""An LMDB environment: big-endian 64-bit keys with the bare record as value, then `labels`, `layout`, `shapes`."""

from __future__ import annotations

import errno
import math
import os
import struct
import weakref
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, TypeVar

import lmdb
import numpy as np

from backends.base import Backend, Reader, Writer
from backends.batch import Columns, carries_shapes, join_records
from backends.errors import ContainerDamaged
from backends.images import Layout, Records
from backends.lmdb_sharing import DATA_FILE, acquire, release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

    Item = tuple[bytes, memoryview]

Found = TypeVar("Found")

FIRST_MAP_BYTES = 1 << 28
TRANSACTION_BYTES = 1 << 19
"""Pages wait in memory for the end of their transaction: so few are reused, more are fresh memory, twice as slow.

In a new process malloc gives what held large values back to the system after each transaction, where it was more.
"""
NEARLY_FULL_BYTES = 1 << 21
"""What may be left on a disk besides the room that a transaction did not find."""
MAX_VALUE_BYTES = (1 << 32) - 1
_KEY = struct.Struct(">Q")


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
    """Copies values out of the map into one array; readers of one file share one environment."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._labels: NDArray[np.int64] | None = None
        self._shapes: NDArray[np.int32] | None = None
        self.layout = self._open()

    def __reduce__(self) -> tuple[Any, ...]:
        return LMDBReader, (self._path,)

    @property
    def labels(self) -> NDArray[np.int64]:
        if self._labels is None:
            self._labels = self._column(b"labels", np.dtype("<i8"), (self.layout.count,))
        return self._labels

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        rows, labels = np.arange(start, stop), self.labels[start:stop]

        def scan(transaction: lmdb.Transaction) -> Records:
            cursor = transaction.cursor()
            cursor.set_key(_KEY.pack(start))
            records = self._records(rows, labels, islice(cursor.iternext(keys=False), len(rows)), out)
            if len(rows) and cursor.key() != _KEY.pack(stop - 1):
                raise self._damaged(f"an image of {start} to {stop - 1} is missing")
            return records

        return self._look(scan)

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        labels = self.labels[rows]
        return self._look(lambda transaction: self._records(rows, labels, map(transaction.get, _keys(rows)), out))

    def close(self) -> None:
        self._closing()

    def _records(
        self, rows: NDArray[np.int64], labels: NDArray[np.int64], values: Iterable[Any], out: NDArray[np.uint8] | None
    ) -> Records:
        """Copy ``values``, views of the map, one for each row."""
        shapes = self._all_shapes()[rows] if carries_shapes(self.layout) else None
        data, offsets = join_records(values, rows, self.layout, out, str(self._path))
        return Records(data, offsets, labels, shapes)

    def _look(self, at: Callable[[lmdb.Transaction], Found]) -> Found:
        """What ``at`` returns of a transaction whose values are views of the map."""
        if not (self._closing.alive and self._share.is_open) and self._open() != self.layout:
            self.close()
            raise self._damaged("its layout has changed since it was opened")
        try:
            with self._share.environment.begin(buffers=True) as transaction:
                return at(transaction)
        except lmdb.Error as error:
            raise self._damaged(str(error)) from error

    def _open(self) -> Layout:
        self._share = acquire(self._path)
        self._closing = weakref.finalize(self, release, self._share)
        try:
            with self._share.environment.begin() as transaction:
                layout = Layout.from_json(transaction.get(b"layout", b""))
            if layout.count * (layout.record_bytes or 0) > self._share.map_bytes:
                raise ValueError("it promises more images than there are")
        except (lmdb.Error, ValueError, KeyError, TypeError) as error:
            self.close()
            raise self._damaged(f"the key 'layout' is missing or invalid ({error})") from error
        return layout

    def _all_shapes(self) -> NDArray[np.int32]:
        if self._shapes is None:
            self._shapes = self._column(b"shapes", np.dtype("<i4"), (self.layout.count, 3))
        return self._shapes

    def _column(self, key: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """One of the arrays beside the images, read-only."""
        found = self._look(lambda transaction: bytes(transaction.get(key, b"")))
        if len(found) != dtype.itemsize * math.prod(shape):
            raise self._damaged(f"the key {key.decode()!r} is missing or has not {math.prod(shape):,} values")
        return np.frombuffer(found, dtype).reshape(shape)

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
