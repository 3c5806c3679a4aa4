"""One SQLite file: the table ``images(id, label, record)``, and ``layout`` with one row.

That row has all labels once more, end to end: a scan of ``images`` touches every page of pixels, and a covering index
takes twenty times as long to read.  Raw images of mixed size have ``height``, ``width`` and ``channels`` beside them.
"""

from __future__ import annotations

import errno
import math
import os
import sqlite3
import threading
from contextlib import contextmanager
from itertools import pairwise
from operator import itemgetter
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.base import Backend
from backends.containers.fileio import MappedFile
from backends.containers.records import ContainerReader, ContainerWriter, join_records
from backends.images import Layout, Records

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from numpy.typing import NDArray

MAX_ROW_BYTES = 999_999_000
"""The limit of SQLite as it is built by default is 1,000,000,000 for a row."""
PAGE_BYTES, LARGE_PAGE_BYTES = 1 << 14, 1 << 16
"""Large pages are for images of 4 to 16 KB: of 8,200 bytes a page of 16 KiB holds one, which takes twice the space."""
_WRITING = ("journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE")
_READING = ("trusted_schema=OFF", f"mmap_size={1 << 40}")
_SHAPE = ("height", "width", "channels")
_IN_RANGE = "FROM images WHERE id BETWEEN ? AND ? ORDER BY id"
_IN_ROWS = "FROM json_each(?) CROSS JOIN images ON images.id = value"
"""CROSS JOIN keeps the order of its sides, and so that of the rows asked for."""


class SQLite(Backend):
    """A file that every SQLite reads."""

    name = "sqlite"

    def create(self, path: Path, layout: Layout) -> SQLiteWriter:
        return SQLiteWriter(path, layout)

    def open(self, path: Path) -> SQLiteReader:
        return SQLiteReader(path)


class SQLiteWriter(ContainerWriter):
    """Inserts everything in one transaction without a journal: a file that is not closed has no layout."""

    max_bytes = MAX_ROW_BYTES

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        self._connection: sqlite3.Connection | None = None
        self.path.open("xb").close()
        try:
            with _os_errors():
                self._connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
                for setting in (f"page_size={_page_bytes(layout)}", *_WRITING):
                    self._connection.execute(f"PRAGMA {setting}")
                for statement in ("BEGIN", *_tables(layout.carries_shapes)):
                    self._connection.execute(statement)
        except BaseException:
            self.abort()
            raise

    def append(self, records: Records) -> None:
        first = self.add(records)
        if self._connection is None:
            raise ValueError(f"{self.path} is closed.")
        data, ids = records.data.data, range(first, first + len(records))
        values = (data[start:stop] for start, stop in pairwise(records.offsets.tolist()))
        columns: list[Any] = [ids, records.labels.tolist(), values]
        if self.shapes is not None:
            columns += self.shapes[first : first + len(records)].T.tolist()
        statement = f"INSERT INTO images VALUES ({','.join('?' * len(columns))})"
        with _os_errors():
            self._connection.executemany(statement, zip(*columns, strict=True))

    def finish(self) -> None:
        assert self._connection is not None
        labels = self.columns()["labels"]
        with _os_errors():
            self._connection.execute("INSERT INTO layout VALUES (?, ?)", (self.layout.to_json(), labels.data))
            self._connection.execute("COMMIT")
        self._connection.close()
        self._connection = None

    def remove(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None
        self.path.unlink(missing_ok=True)


class SQLiteReader(ContainerReader):
    """Reads through one connection a process and thread, without locks: a finished file never changes."""

    kind = "SQLite container"

    def __init__(self, path: Path) -> None:
        self._connections: dict[tuple[int, int], sqlite3.Connection] = {}
        super().__init__(path)

    def load(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        with self._refusals():
            ((labels,),) = self._connected().execute("SELECT labels FROM layout")
        if not isinstance(labels, bytes) or len(labels) != 8 * shape[0]:
            raise self.damaged(f"its labels are not {shape[0]:,} numbers")
        return np.frombuffer(labels, dtype)

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        return self._select(np.arange(start, stop), out, _IN_RANGE, start, stop - 1)

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        return self._select(rows, out, _IN_ROWS, str(rows.tolist()))

    def release(self) -> None:
        """Connections of another process, inherited by a fork, are neither used nor closed."""
        for process, thread in list(self._connections):
            if process == os.getpid():
                self._connections.pop((process, thread)).close()

    def _select(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None, which: str, *keys: int | str) -> Records:
        labels, shapes = self.read_labels()[rows], None
        with self._refusals():
            if not self.layout.carries_shapes:
                found: Iterable[tuple[Any, ...]] = self._connected().execute(f"SELECT record {which}", keys)
            else:
                found = list(self._connected().execute(f"SELECT record, {', '.join(_SHAPE)} {which}", keys))
                try:
                    shapes = np.array([row[1:] for row in found], np.int32).reshape(-1, 3)
                except (TypeError, ValueError, OverflowError) as error:
                    raise self.damaged(f"a height, width or number of channels is none ({error})") from error
            data, offsets = join_records(map(itemgetter(0), found), rows, self.layout, out, self.path)
        return Records(data, offsets, labels, shapes)

    def _connected(self) -> sqlite3.Connection:
        """The connection of this process and thread."""
        return self._connections[_here()]

    @property
    def is_open(self) -> bool:
        return _here() in self._connections

    def _open(self) -> Layout:
        """Open the file for this process and thread, if all its pages are there and all its tables are ours."""
        file = MappedFile(self.path)
        file.close()
        try:
            connection = self._connections[_here()] = sqlite3.connect(
                f"{self.path.as_uri()}?mode=ro&immutable=1", uri=True, isolation_level=None, check_same_thread=False
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
            if tables != _tables(layout.carries_shapes):
                raise ValueError("its layout is another's")
        except (sqlite3.Error, ValueError, KeyError, TypeError) as error:
            self.release()
            raise self.damaged(str(error)) from error
        return layout

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self.damaged(str(error)) from error


def _here() -> tuple[int, int]:
    return os.getpid(), threading.get_ident()


def _page_bytes(layout: Layout) -> int:
    image_bytes = math.prod(layout.image_shape or (0,))
    return LARGE_PAGE_BYTES if 4_000 < image_bytes <= 16_000 else PAGE_BYTES


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
