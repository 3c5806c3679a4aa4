"""An LMDB environment: big-endian 64-bit keys with the bare record as value, then `labels`, `layout`, `shapes`."""

from __future__ import annotations

import os
import struct
import threading
from typing import TYPE_CHECKING, Any

import lmdb
import numpy as np

from backends.base import Backend, Reader, Writer
from backends.batch import Columns, carries_shapes, row_buffer
from backends.errors import ContainerDamaged
from backends.images import Layout, Records, even_offsets

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from numpy.typing import NDArray

FIRST_MAP_BYTES = 1 << 28
TRANSACTION_BYTES = 1 << 24


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
        self._columns = Columns(layout)
        self._path.mkdir()
        self._environment: lmdb.Environment | None = lmdb.open(
            str(self._path), map_size=map_bytes, lock=False, sync=False, metasync=False, meminit=False, mode=0o666
        )

    def append(self, records: Records) -> None:
        first = self._columns.add(records)
        keys = _keys(np.arange(first, first + len(records), dtype=np.uint64))
        data, ends = records.data.data, records.offsets.tolist()
        items = [(key, data[start:stop]) for key, start, stop in zip(keys, ends, ends[1:], strict=False)]
        for some in _bounded(items):
            self._commit(some)

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
        (self._path / "data.mdb").unlink(missing_ok=True)
        if self._path.exists():
            self._path.rmdir()

    def _commit(self, items: Sequence[tuple[bytes, memoryview]]) -> None:
        """Put ``items`` in one transaction; where the map is full, it doubles and they are put again."""
        assert self._environment is not None
        while True:
            try:
                with self._environment.begin(write=True) as transaction:
                    transaction.cursor().putmulti(items, append=True)
                return
            except lmdb.MapFullError:
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])

    def _release(self) -> None:
        if self._environment is not None:
            self._environment.close()
        self._environment = None


class LMDBReader(Reader):
    """Reads through one cursor into one array; readers of one file share one environment."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._lease: _Lease | None = None
        self._labels: NDArray[np.int64] | None = None
        self._shapes: NDArray[np.int32] | None = None
        self.layout = self._read_layout()

    def __reduce__(self) -> tuple[Any, ...]:
        return LMDBReader, (self._path,)

    @property
    def labels(self) -> NDArray[np.int64]:
        if self._labels is None:
            self._labels = self._column(b"labels", np.dtype(np.int64), (self.layout.count,))
        return self._labels

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        return self.read_rows(np.arange(start, stop), out)

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        shapes = self._shapes_of(rows)
        size = self.layout.record_bytes
        keys = _keys(rows)
        with self._begin() as transaction:
            values = []
            for key in keys:
                value = transaction.get(key)
                if value is None or (size is not None and len(value) != size):
                    raise self._damaged(f"the image of key {key.hex()} is missing or of another size")
                values.append(value)
            if size is not None or out is not None:
                into = row_buffer(self.layout, len(rows), out)
                for target, value in zip(into, values, strict=True):
                    target[:] = np.frombuffer(value, np.uint8)
                return Records(into.reshape(-1), even_offsets(len(rows), into.shape[1]), self.labels[rows], shapes)
            offsets = np.zeros(len(rows) + 1, np.int64)
            np.cumsum([len(value) for value in values], out=offsets[1:])
            data = np.frombuffer(b"".join(values), np.uint8)
        return Records(data, offsets, self.labels[rows], shapes)

    def close(self) -> None:
        if self._lease is not None:
            _TABLE.release(self._lease)
        self._lease = None

    def _begin(self) -> lmdb.Transaction:
        if self._lease is None or self._lease.environment is None:
            self._lease = _TABLE.acquire(self._path)
        assert self._lease.environment is not None
        return self._lease.environment.begin(buffers=True)

    def _read_layout(self) -> Layout:
        try:
            with self._begin() as transaction:
                found = transaction.get(b"layout")
                if found is None:
                    raise self._damaged("the key 'layout' is missing")
                return Layout.from_json(bytes(found))
        except (lmdb.Error, ValueError, KeyError, TypeError) as error:
            self.close()
            raise self._damaged(str(error)) from error

    def _shapes_of(self, rows: NDArray[np.int64]) -> NDArray[np.int32] | None:
        if not carries_shapes(self.layout):
            return None
        if self._shapes is None:
            self._shapes = self._column(b"shapes", np.dtype(np.int32), (self.layout.count, 3))
        return self._shapes[rows]

    def _column(self, key: bytes, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        with self._begin() as transaction:
            found = transaction.get(key)
            if found is None or len(found) != dtype.itemsize * int(np.prod(shape)):
                raise self._damaged(f"the key {key.decode()!r} is missing or of another size")
            return np.frombuffer(bytes(found), dtype).reshape(shape)

    def _damaged(self, why: str) -> ContainerDamaged:
        return ContainerDamaged(f"{self._path} is not a finished LMDB container: {why}; make it again from its source.")


class _Lease:
    """A share in the environment of one file; ``environment`` is None once it is closed or a fork left it behind."""

    def __init__(self, environment: lmdb.Environment) -> None:
        self.environment: lmdb.Environment | None = environment
        self.users = 0


class _Table:
    """The environments that this process has open, by file: LMDB forbids to open one file twice in one process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._leases: dict[tuple[int, int], _Lease] = {}

    def acquire(self, path: Path) -> _Lease:
        with self._lock:
            facts = (path / "data.mdb").stat()
            key = facts.st_dev, facts.st_ino
            if key not in self._leases:
                self._leases[key] = _Lease(lmdb.open(str(path), readonly=True, lock=False, map_size=0))
            lease = self._leases[key]
            lease.users += 1
            return lease

    def release(self, lease: _Lease) -> None:
        with self._lock:
            lease.users -= 1
            if lease.users == 0 and lease.environment is not None:
                lease.environment.close()
                lease.environment = None
                self._leases = {key: other for key, other in self._leases.items() if other is not lease}

    def forget(self) -> None:
        """In a child after a fork: close what was inherited, so that it can be opened anew."""
        self._lock = threading.Lock()
        for lease in self._leases.values():
            if lease.environment is not None:
                lease.environment.close()
                lease.environment = None
        self._leases = {}


_TABLE = _Table()
os.register_at_fork(after_in_child=_TABLE.forget)


def _keys(rows: NDArray[Any]) -> list[bytes]:
    return [struct.pack(">Q", row) for row in rows.tolist()]


def _bounded(items: Sequence[tuple[bytes, memoryview]]) -> Iterator[Sequence[tuple[bytes, memoryview]]]:
    """Split ``items`` into runs of about ``TRANSACTION_BYTES``."""
    start = total = 0
    for index, (_, value) in enumerate(items):
        total += len(value)
        if total >= TRANSACTION_BYTES:
            yield items[start : index + 1]
            start, total = index + 1, 0
    if start < len(items):
        yield items[start:]
