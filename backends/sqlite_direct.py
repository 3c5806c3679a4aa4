"""Writes rows of one size into a SQLite file, and reads them, without the library."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import numpy as np

from backends.mapped_file import MappedFile, pieces
from backends.sqlite_rows import PAGE_BYTES, PAGES_AT_ONCE, Rows, page_number
from backends.transfer import AlignedWriter, page_buffer, write_at

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.images import Layout, Records

_PAGES_AT, _CHANGES_AT = 28, 24
"""In the header of the file: the number of its pages, and of the transactions that have changed it."""
OWN_CHANGES = 2
"""Of a file that nobody has changed: the tables were made, then the layout came."""


class NewRows:
    """Fills the empty table of a file that no connection has open."""

    def __init__(self, path: Path, rows: Rows) -> None:
        self._rows = rows
        self._file = os.open(path, os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
        self._pages = AlignedWriter(self._file)

    def append(self, first: int, records: Records) -> None:
        """Write records, the first of them in row ``first``."""
        if not len(records):
            return
        data = records.data[records.offsets[0] : records.offsets[-1]].reshape(len(records), -1)
        for block in self._rows.blocks(first, first + len(records)):
            size = block.pages * block.width
            room = self._pages.room(size, block.position)
            room.reshape(block.pages, -1)[:, : len(block.before)] = np.frombuffer(block.before, np.uint8)
            rows = slice(block.first - first, block.first - first + block.count)
            before = block.before_records(records.labels[rows])
            cells = block.cells(room)
            cells[..., : before.shape[-1]] = before
            cells[..., before.shape[-1] :] = data[rows].reshape(block.pages, block.rows, -1)

    def finish(self) -> None:
        """Write what leads to the rows, and how many pages there are now."""
        self._pages.flush()
        last = page_number(self._rows.leaves - 1)
        for page, content in self._rows.branches():
            write_at(self._file, np.frombuffer(content, np.uint8), (page - 1) * PAGE_BYTES)
            last = max(last, page)
        write_at(self._file, np.array(last, ">u4"), _PAGES_AT)
        self.close()

    def close(self) -> None:
        if self._file >= 0:
            os.close(self._file)
        self._file = -1


def known_rows(layout: Layout, file: MappedFile, page_bytes: int) -> Rows | None:
    """Where the rows should lie, if that can be said and nothing has changed the file since it was made."""
    changes = np.empty((), ">u4")
    file.fill(changes.reshape(1), _CHANGES_AT)
    own = page_bytes == PAGE_BYTES and changes == OWN_CHANGES
    return Rows.of(layout.count, layout.record_bytes) if own else None


def are_there(found: NDArray[np.uint8], before: NDArray[np.uint8]) -> bool:
    """Whether what precedes rows is what does where they were written: the library may have moved them."""
    return np.array_equal(found, before)


def fill(into: NDArray[np.uint8], labels: NDArray[np.int64], file: MappedFile, rows: Rows, start: int) -> bool:
    """Read rows from ``start`` on, ``(n, record_bytes)``, and say whether each was where it should be."""
    between = page_buffer(PAGES_AT_ONCE * PAGE_BYTES)
    for block in rows.blocks(start, start + len(into)):
        read = between[: block.pages * block.width]
        file.fill(read, block.position)
        some = slice(block.first - start, block.first - start + block.count)
        before, cells = block.before_records(labels[some]), block.cells(read)
        if not are_there(cells[..., : before.shape[-1]], before):
            return False
        into[some].reshape(block.pages, block.rows, -1)[:] = cells[..., before.shape[-1] :]
    return True


def places(
    rows: NDArray[np.int64], labels: NDArray[np.int64], file: MappedFile, known: Rows
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """Where the records of rows start and stop in the file, if each is where it should be."""
    data = file.mapped()
    if data is None:
        return None
    starts = np.empty(len(rows), np.int64)
    for span in known.spans:
        which = np.flatnonzero((span.start <= rows) & (rows < span.stop))
        if not len(which):
            continue
        before = span.before_records(rows[which], labels[which])
        found, width = span.positions(rows[which]), before.shape[1]
        if found.max() + width + span.record_bytes > len(data):
            return None
        if not are_there(pieces(data, width, 1)[found], before):
            return None
        starts[which] = found + width
    return starts, starts + known.spans[0].record_bytes
