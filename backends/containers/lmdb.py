"""An LMDB environment: big-endian 64-bit keys with the bare record as value, then `labels`, `layout`, `shapes`.

It is written in the format of LMDB 0.9, which every LMDB reads; environments of LMDB 1.0 are read as well.
"""

from __future__ import annotations

import errno
import math
import os
import stat
import threading
import weakref
from contextlib import contextmanager, suppress
from itertools import islice
from typing import TYPE_CHECKING, Any

import lmdb
import numpy as np

from backends.base import Backend
from backends.containers.fileio import slices
from backends.containers.records import ContainerReader, ContainerWriter
from backends.errors import ContainerDamaged, NotAllowed, refusal
from backends.images import Layout, Records

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

DATA_FILE = "data.mdb"
MAX_VALUE_BYTES = (1 << 32) - 1
FIRST_MAP_BYTES = 1 << 28
"""Of address space, not of disk; doubled when it is full."""
FULL_BYTES = 1 << 16  # a disk with less is full
_environments: dict[tuple[int, int], tuple[lmdb.Environment, int]] = {}
"""Open environments by device and inode, and how many readers use each: LMDB allows one a file and process."""
_lock = threading.Lock()


class LMDB(Backend):
    """A folder with data.mdb."""

    name = "lmdb"

    def create(self, path: Path, layout: Layout) -> LMDBWriter:
        return LMDBWriter(path, layout)

    def open(self, path: Path) -> LMDBReader:
        return LMDBReader(path)


class LMDBWriter(ContainerWriter):
    """Appends each batch in one transaction; nothing is synced here."""

    max_bytes = MAX_VALUE_BYTES

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        self.path.mkdir()
        self._environment: Any = None
        try:
            self._environment = lmdb.open(
                str(self.path), map_size=FIRST_MAP_BYTES, sync=False, metasync=False, lock=False, lib_version=0
            )
        except lmdb.Error as error:
            self.abort()
            raise _os_error(error, self.path) from error

    def append(self, records: Records) -> None:
        first = self.add(records)
        values = slices(records.data, records.offsets[:-1], records.offsets[1:])
        self._put(list(zip(_keys(np.arange(first, first + len(records))), values, strict=True)))

    def finish(self) -> None:
        columns = self.columns(offsets=False)
        items = [(name.encode(), column.tobytes()) for name, column in columns.items()]
        self._put(sorted([*items, (b"layout", self.layout.to_json().encode())]))
        self._environment.close()
        self._environment = None

    def remove(self) -> None:
        if self._environment is not None:
            self._environment.close()
        self._environment = None
        (self.path / DATA_FILE).unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()

    def _put(self, items: list[tuple[bytes, Any]]) -> None:
        """Append ``items``, whose keys ascend, in a transaction."""
        while True:
            try:
                with self._environment.begin(write=True) as transaction, transaction.cursor() as cursor:
                    cursor.putmulti(items, append=True)
                return
            except lmdb.MapFullError:
                self._environment.set_mapsize(2 * self._environment.info()["map_size"])
            except lmdb.Error as error:
                raise _os_error(error, self.path) from error


class LMDBReader(ContainerReader):
    """Copies values out of the library's map: by a cursor where they follow one another, else by their keys."""

    kind = "LMDB container"

    def load(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        with self._begin() as transaction:
            content = bytes(transaction.get(name.encode(), b""))
        if len(content) != np.dtype(dtype).itemsize * math.prod(shape):
            raise self.damaged(f"the key {name!r} is missing or has not {math.prod(shape):,} values")
        return np.frombuffer(content, dtype).reshape(shape)

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        rows = np.arange(start, stop)
        with self._begin() as transaction, transaction.cursor() as cursor:
            self._fetch_ahead(start, stop)
            there = cursor.set_key(start.to_bytes(8, "big"))
            values = islice(cursor.iternext(keys=False), len(rows)) if there else iter(())
            records = self.joined(rows, values, out)
            if len(rows) and cursor.key() != (stop - 1).to_bytes(8, "big"):  # a key between was missing
                raise ContainerDamaged(f"{self.path} is damaged: of images {start:,} to {stop:,} one is missing.")
            return records

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        with self._begin() as transaction:
            return self.joined(rows, map(transaction.get, _keys(rows)), out)

    def release(self) -> None:
        self._held()

    def _fetch_ahead(self, start: int, stop: int) -> None:
        """Ask the system for the part of the file in which a range lies, if it was written in the order of its keys.

        The map itself brings in page after page: that is best for shuffled reading, and slow for all else.
        """
        if hasattr(os, "posix_fadvise") and stop - start > 1:
            share = self._bytes / self.layout.count
            with suppress(OSError), (self.path / DATA_FILE).open("rb", buffering=0) as file:
                length = math.ceil((stop - start) * share)
                os.posix_fadvise(file.fileno(), int(start * share), length, os.POSIX_FADV_WILLNEED)

    @contextmanager
    def _begin(self) -> Iterator[Any]:
        """A read transaction whose values are views of the map.  Raises ContainerDamaged for what the library finds."""
        try:
            with self._environment.begin(buffers=True) as transaction:
                yield transaction
        except lmdb.Error as error:
            raise self.damaged(str(error)) from error

    @property
    def is_open(self) -> bool:
        return self._held.alive and self._process == os.getpid()

    def _open(self) -> Layout:
        """Use the environment of this process for the file, opened if there is none."""
        try:
            file = os.stat(self.path / DATA_FILE, follow_symlinks=False)  # noqa: PTH116
        except OSError as error:
            self.path.stat()
            raise refusal(error, self.path) or self.damaged(f"{DATA_FILE} is missing ({error.strerror})") from error
        if not stat.S_ISREG(file.st_mode):
            raise self.damaged(f"{DATA_FILE} is not a regular file")
        self._bytes, self._process, key = file.st_size, os.getpid(), (file.st_dev, file.st_ino)
        with _lock:
            environment, users = _environments.get(key) or (self._open_environment(), 0)
            _environments[key] = environment, users + 1
        self._environment = environment
        self._held = weakref.finalize(self, _release, key, environment)
        try:
            if (environment.info()["last_pgno"] + 1) * environment.stat()["psize"] > self._bytes:
                raise ValueError("it is cut")  # reading beyond its end would kill this process by SIGBUS
            with environment.begin() as transaction:
                layout = Layout.from_json(transaction.get(b"layout"))
                images = transaction.stat()["entries"]
            if layout.count > images or layout.count * (layout.record_bytes or 0) > self._bytes:
                raise ValueError("it promises more images than there are")
        except (lmdb.Error, ValueError, KeyError, TypeError) as error:
            self.release()
            raise self.damaged(str(error)) from error
        return layout

    def _open_environment(self) -> lmdb.Environment:
        try:
            return lmdb.open(str(self.path), readonly=True, create=False, lock=False, readahead=False)
        except lmdb.MemoryError as error:
            raise NotAllowed(
                f"{self.path} cannot be mapped into memory, as LMDB needs: raise ulimit -v, put it on another"
                " filesystem, or choose another backend."
            ) from error
        except lmdb.Error as error:
            raise refusal(_os_error(error, self.path), self.path) or self.damaged(str(error)) from error


def _keys(rows: NDArray[np.int64]) -> list[bytes]:
    packed = rows.astype(">u8").tobytes()
    return [packed[at : at + 8] for at in range(0, len(packed), 8)]


def _release(key: tuple[int, int], environment: lmdb.Environment) -> None:
    """A reader is done; the last one closes the environment."""
    with _lock:
        known, users = _environments.get(key, (None, 0))
        if known is not environment:  # of the parent, and closed after the fork
            return
        if users > 1:
            _environments[key] = environment, users - 1
        else:
            del _environments[key]
            environment.close()


def _close_inherited() -> None:
    """Close what a child inherits from its parent: LMDB's handles do not work across a fork, nor can it open twice."""
    global _lock
    _lock = threading.Lock()  # another thread of the parent may have held it
    for environment, _ in _environments.values():
        environment.close()
    _environments.clear()


os.register_at_fork(after_in_child=_close_inherited)


def _os_error(error: lmdb.Error, path: Path) -> OSError:
    """What LMDB says in its text, as an OSError.  It calls a write that a full disk cut short an input/output error."""
    number = next((code for code in errno.errorcode if os.strerror(code) in str(error)), errno.EIO)
    disk = os.statvfs(path.parent)  # what was begun may be gone
    if number == errno.EIO and disk.f_bavail * disk.f_frsize < FULL_BYTES:
        number = errno.ENOSPC
    return OSError(number, f"LMDB: {error} ({os.strerror(number)})", str(path))
