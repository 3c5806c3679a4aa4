"""One SQLite file: the table ``images(id, label, record)``, and ``layout`` with one row.

That row has all labels once more, end to end: a scan of ``images`` touches every page of pixels, and a covering index
takes twenty times as long to read.  Raw images of mixed size have ``height``, ``width`` and ``channels`` beside them.
Pages of small records of one size are made and read here, thousands of rows at once; all else is the library's work.
"""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from contextlib import contextmanager
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.base import Backend, Reader, Writer
from backends.batch import Columns, carries_shapes, join_records, row_buffer
from backends.errors import ContainerDamaged
from backends.images import Layout, Records, even_offsets
from backends.mapped_file import MappedFile
from backends.sqlite_direct import NewRows, fill, known_rows, places
from backends.sqlite_rows import PAGE_BYTES, Rows
from backends.transfer import CREATE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

MAX_ROW_BYTES = 999_999_000
"""The limit of SQLite as it is built by default is 1,000,000,000 for a row."""
_WRITING = ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE")
_LIBRARY_PAGE_BYTES = 16_384
"""Large records have pages of their own, the last of which is half empty on average."""
_READING = ("trusted_schema=OFF", f"mmap_size={1 << 40}")
_SHAPE = ("height", "width", "channels")
_IN_RANGE = "FROM images WHERE id BETWEEN ? AND ? ORDER BY id"
_IN_ROWS = "FROM json_each(?) CROSS JOIN images ON images.id = value"
"""CROSS JOIN keeps the order of its sides, and so that of the rows asked for."""


class SQLite(Backend):
    """A file that every SQLite reads."""

    name, title = "sqlite", "SQLite database"

    def create(self, path: Path, layout: Layout) -> SQLiteWriter:
        return SQLiteWriter(path, layout)

    def open(self, path: Path) -> SQLiteReader:
        return SQLiteReader(path)


class SQLiteWriter(Writer):
    """Works without a journal: a file that is not closed has no layout, and is no container."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path.absolute()
        self._layout = layout
        self._columns = Columns(layout, MAX_ROW_BYTES)
        self._connection: sqlite3.Connection | None = None
        self._rows: NewRows | None = None
        rows = Rows.of(layout.count, layout.record_bytes)
        os.close(os.open(self._path, CREATE, 0o666))
        try:
            with _os_errors():
                self._begin(_LIBRARY_PAGE_BYTES if rows is None else PAGE_BYTES)
                for table in _tables(carries_shapes(layout)):
                    self._connected().execute(table)
                if rows is not None:
                    self._connected().execute("COMMIT")
                    self._release()
                    self._rows = NewRows(self._path, rows)
        except BaseException:
            self.abort()
            raise

    def append(self, records: Records) -> None:
        first = self._columns.add(records)
        if self._rows is not None:
            self._rows.append(first, records)
            return
        data, ids = records.data.data, range(first, first + len(records))
        values = (data[start:stop] for start, stop in pairwise(records.offsets.tolist()))
        columns: list[Any] = [ids, records.labels.tolist(), values]
        if self._columns.shapes is not None:
            columns += self._columns.shapes[first : first + len(records)].T.tolist()
        with _os_errors():
            self._connected().executemany(
                f"INSERT INTO images VALUES ({','.join('?' * len(columns))})", zip(*columns, strict=True)
            )

    def close(self) -> None:
        if self._connection is None and self._rows is None:
            return
        try:
            self._columns.check_complete()
            labels = self._columns.labels.astype("<i8", copy=False)
            with _os_errors():
                if self._rows is not None:
                    self._rows.finish()
                    self._begin()
                self._connected().execute("INSERT INTO layout VALUES (?, ?)", (self._layout.to_json(), labels.data))
                self._connected().execute("COMMIT")
        except BaseException:
            self.abort()
            raise
        self._release()

    def abort(self) -> None:
        self._columns.abort()
        self._release()
        self._path.unlink(missing_ok=True)

    def _begin(self, page_bytes: int = PAGE_BYTES) -> None:
        """Connect and begin a transaction; a file that has no pages yet gets pages of ``page_bytes``."""
        self._connection = sqlite3.connect(self._path, isolation_level=None, check_same_thread=False)
        for setting in (f"page_size={page_bytes}", *_WRITING):
            self._connection.execute(f"PRAGMA {setting}")
        self._connection.execute("BEGIN")

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            raise ValueError(f"{self._path} is closed.")
        return self._connection

    def _release(self) -> None:
        if self._connection is not None:
            self._connection.close()
        if self._rows is not None:
            self._rows.close()
        self._connection = self._rows = None


class SQLiteReader(Reader):
    """Reads through one connection a process and thread, without locks: a finished file never changes.

    Rows that should lie where they were written are read there; where one does not, the library is asked for all.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._labels: NDArray[np.int64] | None = None
        self._connections: dict[tuple[int, int], sqlite3.Connection] = {}
        self._file: MappedFile | None = None
        self._rows: Rows | None = None
        self.layout = self._connect()

    def __reduce__(self) -> tuple[Any, ...]:
        return SQLiteReader, (self._path,)

    @property
    def labels(self) -> NDArray[np.int64]:
        if self._labels is None:
            ((found,),) = self._fetch("SELECT labels FROM layout")
            if not isinstance(found, bytes) or len(found) != 8 * self.layout.count:
                raise self._damaged(f"its labels are not {self.layout.count:,} numbers")
            self._labels = np.frombuffer(found, "<i8")
        return self._labels

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        labels, file = self.labels[start:stop], self._opened()
        if self._rows is not None:
            into = row_buffer(self.layout, stop - start, out)
            if fill(into, labels, file, self._rows, start):
                return Records(into.reshape(-1), even_offsets(*into.shape), labels)
        return self._records(np.arange(start, stop), out, _IN_RANGE, start, stop - 1)

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        labels, file = self.labels[rows], self._opened()
        spans = places(rows, labels, file, self._rows) if self._rows is not None else None
        if spans is None:
            return self._records(rows, out, _IN_ROWS, str(rows.tolist()))
        return Records(*join_records(file.runs(*spans), rows, self.layout, out, str(self._path)), labels)

    def close(self) -> None:
        """Connections of another process, inherited by a fork, are neither used nor closed."""
        for process, thread in list(self._connections):
            if process == os.getpid():
                self._connections.pop((process, thread)).close()
        if self._file is not None:
            self._file.close()
        self._file = None

    def _records(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None, which: str, *keys: int | str) -> Records:
        labels, mixed = self.labels[rows], carries_shapes(self.layout)
        names = ("record", *_SHAPE) if mixed else ("record",)
        found: Iterable[tuple[Any, ...]] = self._fetch(f"SELECT {', '.join(names)} {which}", *keys)
        found = list(found) if mixed else found  # one by one, the memory of a record is that of the one before
        data, offsets = join_records(map(itemgetter(0), found), rows, self.layout, out, str(self._path))
        try:
            shapes = np.array([row[1:] for row in found], np.int32).reshape(-1, 3) if mixed else None
        except (TypeError, ValueError, OverflowError) as error:
            raise self._damaged(f"a height, width or number of channels is none ({error})") from error
        return Records(data, offsets, labels, shapes)

    def _fetch(self, query: str, *values: int | str) -> Iterator[tuple[Any, ...]]:
        key = _here()
        if key not in self._connections:
            self._connect_again()
        try:
            # Not `yield from`: dropped half read, it would close the cursor, and that after its connection.
            for row in self._connections[key].execute(query, values):  # noqa: UP028
                yield row
        except sqlite3.Error as error:
            raise self._damaged(str(error)) from error

    def _opened(self) -> MappedFile:
        if self._file is None:
            self._connect_again()
        assert self._file is not None
        return self._file

    def _connect_again(self) -> None:
        if self._connect() != self.layout:
            self.close()
            raise self._damaged("its layout has changed since it was opened")

    def _connect(self) -> Layout:
        """Open the file for this process and thread, if all its pages are there and all its tables are ours."""
        file = MappedFile(self._path)
        try:
            connection = self._connections[_here()] = sqlite3.connect(
                f"{self._path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None, check_same_thread=False
            )
            for setting in _READING:
                connection.execute(f"PRAGMA {setting}")
            ((pages,),), ((page_bytes,),) = map(connection.execute, ("PRAGMA page_count", "PRAGMA page_size"))
            if pages * page_bytes != file.size:
                raise ValueError("it is cut")
            tables = [text for (text,) in connection.execute("SELECT sql FROM sqlite_master ORDER BY name")]
            if tables not in (_tables(False), _tables(True)):
                raise ValueError("it has other tables")
            ((text,),) = connection.execute("SELECT json FROM layout")
            layout = Layout.from_json(text)
            if tables != _tables(carries_shapes(layout)):
                raise ValueError("its layout is another's")
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            file.close()
            self.close()
            raise self._damaged(str(error)) from error
        self._rows = known_rows(layout, file, page_bytes)
        if self._file is None:
            self._file = file
        else:
            file.close()
        return layout

    def _damaged(self, why: str) -> ContainerDamaged:
        return ContainerDamaged(f"{self._path} is not a finished SQLite container: {why}; make it again.")


def _here() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def _tables(shapes: bool) -> list[str]:
    shape = "".join(f", {side} INTEGER NOT NULL" for side in _SHAPE) if shapes else ""
    return [
        f"CREATE TABLE images(id INTEGER PRIMARY KEY, label INTEGER NOT NULL, record BLOB NOT NULL{shape})",
        "CREATE TABLE layout(json TEXT NOT NULL, labels BLOB NOT NULL)",
    ]


@contextmanager
def _os_errors() -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        full = getattr(error, "sqlite_errorcode", None) == sqlite3.SQLITE_FULL
        raise OSError(errno.ENOSPC if full else errno.EIO, f"SQLite cannot write: {error}") from error
