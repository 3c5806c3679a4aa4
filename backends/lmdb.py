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

from backends.base import Backend, Reader, Writer
from backends.batch import Columns, carries_shapes, join_records, row_buffer
from backends.errors import ContainerDamaged, ImgstoreError, NotAllowed
from backends.images import Layout, Records, even_offsets
from backends.lmdb_pages import (
    MAX_NAMED_BYTES,
    META_PAGES,
    PAGE_BYTES,
    Level,
    Nodes,
    is_big,
    meta_pages,
    named_leaf,
    pages_of,
    value_headers,
)
from backends.lmdb_tree import F_BIGDATA, FEW_ROWS, P_BRANCH, P_LEAF, PAGE_HEADER, POINTER, Tree
from backends.mapped_file import MappedFile, runs
from backends.transfer import AlignedWriter

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

DATA_FILE = "data.mdb"
MAX_VALUE_BYTES = (1 << 32) - 1
LEAST_NODE_BYTES = 18
"""What an image takes in a leaf, however small."""
SHORT_RUN = 8
"""Where fewer follow one another, rows are gathered one by one."""
_ZEROS = memoryview(bytes(PAGE_BYTES))
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC


class LMDB(Backend):
    """A folder with data.mdb."""

    name, title = "lmdb", "LMDB environment"

    def create(self, path: Path, layout: Layout) -> LMDBWriter:
        return LMDBWriter(path, layout)

    def open(self, path: Path) -> LMDBReader:
        return LMDBReader(path)


class LMDBWriter(Writer):
    """Writes large values and the leaves behind one another; the branches come at the end, what leads to them last."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path.absolute()
        self._layout = layout
        self._columns = Columns(layout, MAX_VALUE_BYTES)
        self._leaves = Level(P_LEAF)
        self._pages = META_PAGES
        self._descriptor: int | None = None
        self._path.mkdir()
        try:
            self._descriptor = os.open(self._path / DATA_FILE, _CREATE, 0o666)
        except BaseException:
            self.abort()
            raise
        self._file = AlignedWriter(self._descriptor)

    def append(self, records: Records) -> None:
        rows = np.arange(len(records)) + self._columns.add(records)
        sizes = np.diff(records.offsets)
        big = is_big(sizes)
        contents, behind = records.data[records.offsets[0] : records.offsets[-1]], sizes
        headers = value_headers(self._pages, pages_of(sizes) * big)
        if big.any():
            self._write_big(records, big, headers)
            pointers, behind = headers[:, :1].copy().view(np.uint8), np.where(big, POINTER.size, sizes)
            if big.all():
                contents = pointers.reshape(-1)
            else:
                found = [pointers[i] if own else records.record(i) for i, own in enumerate(big.tolist())]
                contents = np.concatenate(found)
        nodes = Nodes(rows, sizes | F_BIGDATA * big << 32, behind, contents)
        self._write(self._leaves.add(self._pages, nodes))

    def close(self) -> None:
        if self._descriptor is None:
            return
        try:
            self._columns.check_complete()
            self._write(self._leaves.finish(self._pages))
            self._finish()
            self._file.flush()
        except BaseException:
            self.abort()
            raise
        self._release()

    def abort(self) -> None:
        self._columns.abort()
        self._release()
        (self._path / DATA_FILE).unlink(missing_ok=True)
        if self._path.is_dir() and not any(self._path.iterdir()):
            self._path.rmdir()

    def _write(self, pages: NDArray[np.uint8]) -> None:
        self._file.write(pages, self._pages * PAGE_BYTES)
        self._pages += pages.size // PAGE_BYTES

    def _write_big(self, records: Records, big: NDArray[np.bool_], headers: NDArray[np.int64]) -> None:
        size, starts, stops = self._layout.record_bytes, records.offsets[:-1], records.offsets[1:]
        if size is None or PAGE_HEADER.size + size > PAGE_BYTES:
            self._write_values(runs(records.data, starts[big], stops[big]), headers[big])
        else:
            self._write_single_pages(headers, records.data[starts[0] : stops[-1]].reshape(-1, size))

    def _write_values(self, values: Iterable[memoryview], headers: NDArray[np.int64]) -> None:
        """Write values that have pages of their own, each behind its header, from where they are."""
        heads, found = memoryview(headers.tobytes()), list(values)
        pieces = [_ZEROS] * (3 * len(found))
        pieces[::3] = [heads[start : start + PAGE_HEADER.size] for start in range(0, len(heads), PAGE_HEADER.size)]
        pieces[1::3] = found
        pieces[2::3] = [_ZEROS[: -(PAGE_HEADER.size + len(value)) % PAGE_BYTES] for value in found]
        self._file.write_pieces(pieces, self._pages * PAGE_BYTES)
        self._pages += int((headers[:, 1] >> 32).sum())

    def _write_single_pages(self, headers: NDArray[np.int64], values: NDArray[np.uint8]) -> None:
        """Write values of one size that have a page each; the system copies such pieces more slowly than numpy."""
        stop = PAGE_HEADER.size + values.shape[1]
        while len(values):
            room = self._file.room(len(values) * PAGE_BYTES, self._pages * PAGE_BYTES).reshape(-1, PAGE_BYTES)
            room[:, : PAGE_HEADER.size] = headers[: len(room)].view(np.uint8)
            room[:, PAGE_HEADER.size : stop] = values[: len(room)]
            room[:, stop:] = 0
            headers, values = headers[len(room) :], values[len(room) :]
            self._pages += len(room)

    def _finish(self) -> None:
        """Write the columns and the layout, the branches above all leaves, and what says where they are."""
        values = {b"labels": self._columns.labels.tobytes(), b"layout": self._layout.to_json().encode()}
        if self._columns.shapes is not None:
            values[b"shapes"] = self._columns.shapes.tobytes()
        begin = {}
        for key, value in values.items():
            if len(value) > MAX_NAMED_BYTES:
                begin[key] = self._pages
                pages = pages_of(np.array([len(value)]))
                self._write_values([memoryview(value)], value_headers(self._pages, pages))
        firsts = np.append(np.array(self._leaves.firsts), self._layout.count)
        pages = np.append(np.array(self._leaves.pages), self._pages)
        self._write(np.frombuffer(named_leaf(self._pages, values, begin), np.uint8))
        depth, leaves, branches = 1, len(pages), 0
        while len(pages) > 1:
            level = Level(P_BRANCH)
            self._write(level.finish(self._pages, Nodes(firsts, pages, 0 * pages, np.empty(0, np.uint8))))
            firsts, pages = np.array(level.firsts), np.array(level.pages)
            depth, branches = depth + 1, branches + len(pages)
        values_pages = self._pages - META_PAGES - leaves - branches
        entries = self._layout.count + len(values)
        tree = depth, branches, leaves, values_pages, entries
        self._file.write(np.frombuffer(meta_pages(tree, int(pages[0]), self._pages), np.uint8), 0)

    def _release(self) -> None:
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is not None:
            os.close(descriptor)


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
