"""An LMDB environment: big-endian 64-bit keys with the bare record as value, then `labels`, `layout`, `shapes`.

Its pages are made and read here, in the format of LMDB 0.9, which every LMDB reads: thousands of records at once, where
the library takes one call each.
"""

from __future__ import annotations

import math
import os
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.array_folder import NewFolder
from backends.base import Backend, Reader, Writer
from backends.batch import Columns, carries_shapes, join_records, row_buffer
from backends.errors import ContainerDamaged, ImgstoreError, NotAllowed
from backends.images import Layout, Records, even_offsets
from backends.lmdb_new_tree import START, NewTree
from backends.lmdb_tree import FEW_ROWS, NODE_HEADER, PAGE_HEADER, PLACE, ROW_KEY_BYTES, Tree, pages_of
from backends.mapped_file import MappedFile

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

DATA_FILE = "data.mdb"
MAX_VALUE_BYTES = (1 << 32) - 1
LEAST_NODE_BYTES = NODE_HEADER.size + ROW_KEY_BYTES + PLACE.size
"""What an image takes in a leaf, however small."""
SHORT_RUN = 8
"""Where fewer follow one another, rows are gathered one by one."""


class LMDB(Backend):
    """A folder with data.mdb."""

    name, title = "lmdb", "LMDB environment"

    def create(self, path: Path, layout: Layout) -> LMDBWriter:
        return LMDBWriter(path, layout)

    def open(self, path: Path) -> LMDBReader:
        return LMDBReader(path)


class LMDBWriter(Writer):
    """Makes the tree of the records, then of the columns and the layout."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._layout = layout
        self._columns = Columns(layout, MAX_VALUE_BYTES)
        self._folder = NewFolder(path.absolute(), DATA_FILE, START)
        self._tree = NewTree(self._folder, layout.record_bytes)

    def append(self, records: Records) -> None:
        self._columns.add(records)
        self._tree.append(records)

    def close(self) -> None:
        if self._folder.end < 0:
            return
        try:
            self._columns.check_complete()
            values = {b"labels": self._columns.labels.tobytes(), b"layout": self._layout.to_json().encode()}
            if self._columns.shapes is not None:
                values[b"shapes"] = self._columns.shapes.tobytes()
            self._tree.finish(values)
            self._folder.flush()
        except BaseException:
            self.abort()
            raise
        self._folder.close()

    def abort(self) -> None:
        self._columns.abort()
        self._folder.remove()


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
            distance = pages_of(into.shape[1], self._page_bytes) * self._page_bytes
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
            tree, layout = self._read_layout(file)
        except BaseException:
            file.close()
            raise
        self._opened, self._page_bytes = (file, tree), tree.page_bytes
        return layout

    def _read_layout(self, file: MappedFile) -> tuple[Tree, Layout]:
        data = file.mapped() if file.size else np.empty(0, np.uint8)
        if data is None:
            raise NotAllowed(
                f"{self._path} cannot be mapped into memory, as LMDB needs: put it on another filesystem, or choose"
                " another backend."
            )
        try:
            tree = Tree(data)
            layout = Layout.from_json(tree.value(b"layout").tobytes())
            if layout.count * max(layout.record_bytes or 0, LEAST_NODE_BYTES) > file.size:
                raise ValueError("it promises more images than there are")
        except (ValueError, KeyError, TypeError) as error:
            raise self._damaged(str(error)) from error
        return tree, layout

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
