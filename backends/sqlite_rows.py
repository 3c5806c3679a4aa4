"""Where the rows of the table ``images`` lie in a SQLite file whose records all have one size, and what is around them.

After sqlite.org, "Database File Format".  Leaves of the table's tree are filled one after the other from page
``FIRST_LEAF`` on, each from the end of what stands before its rows to the end of the page; branches stand behind them.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from backends.mapped_file import CACHED_BYTES

if TYPE_CHECKING:
    from collections.abc import Iterator

    from numpy.typing import NDArray

PAGE_BYTES = 1 << 16
"""The largest of the format: so the least is lost where rows do not fill a page."""
ROOT, FIRST_LEAF = 2, 4
"""Page 1 is the schema's, page 3 the root of the other table."""
LOCK_PAGE = (1 << 30) // PAGE_BYTES + 1
"""Never used: it holds the bytes that programs lock."""
MAX_RECORD_BYTES = 16_000
"""Four such rows nearly fill a page."""
PAGES_AT_ONCE = CACHED_BYTES // PAGE_BYTES
_LEAF, _LEAF_HEAD, _POINTER = 0x0D, struct.Struct(">BHHHB"), np.dtype(">u2")
_BRANCH, _BRANCH_HEAD, _CHILD = 0x05, struct.Struct(">BHHHBI"), struct.Struct(">I")
_NULL, _INT64, _BLOB = 0, 6, 12
"""Serial types: of ``id``, which is the row's key; of ``label``; of a blob, to which twice its size is added."""
_LABEL = np.dtype(">i8")
_CHILDREN = 4_000
"""A page has room for so many branches with the longest keys."""


@dataclass(frozen=True)
class Block:
    """Rows that follow one another, in one page or in whole pages that follow one another.

    Attributes
    ----------
    position
        Of the first byte in the file: of the first row, or of the page where that is the page's first.
    width
        Bytes in each page; the rows are the last of them.
    first, rows
        The first row, and how many there are in each page.
    before
        What stands in each page before the rows.
    """

    span: Span
    position: int
    pages: int
    width: int
    first: int
    rows: int
    before: bytes

    @property
    def count(self) -> int:
        return self.pages * self.rows

    def before_records(self, labels: NDArray[np.int64]) -> NDArray[np.uint8]:
        """What precedes the pixels of each row, ``(pages, rows, bytes)``, with the labels ``(count,)`` of them all."""
        found = self.span.before_records(np.arange(self.first, self.first + self.count), labels)
        return found.reshape(self.pages, self.rows, -1)

    def cells(self, data: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """The rows with what precedes each, ``(pages, rows, bytes)``: a view of the bytes of the block."""
        size = self.span.cell_bytes
        every = data.reshape(self.pages, self.width)
        return every[:, self.width - self.rows * size :].reshape(self.pages, self.rows, size)


class Span:
    """Rows ``start`` to ``stop``, whose keys all take as many bytes, from leaf ``leaf`` on.

    Attributes
    ----------
    cell_bytes, per_page
        Bytes a row takes with what precedes its pixels, and how many fill a page.
    """

    def __init__(self, start: int, stop: int, leaf: int, record_bytes: int) -> None:
        self.start, self.stop, self.leaf, self.record_bytes = start, stop, leaf, record_bytes
        types = bytes([_NULL, _INT64]) + varint(_BLOB + 2 * record_bytes)
        head = bytes([1 + len(types)]) + types
        size = varint(len(head) + _LABEL.itemsize + record_bytes)
        self._key = slice(len(size), len(size) + len(varint(start)))
        self._before = np.frombuffer(size + varint(start) + head + bytes(_LABEL.itemsize), np.uint8)
        self.cell_bytes = len(self._before) + record_bytes
        self.per_page = (PAGE_BYTES - _LEAF_HEAD.size) // (self.cell_bytes + _POINTER.itemsize)

    @property
    def leaves(self) -> int:
        return -(-(self.stop - self.start) // self.per_page)

    def last_rows(self) -> NDArray[np.int64]:
        """Of each leaf."""
        return np.append(np.arange(self.start + self.per_page, self.stop, self.per_page), self.stop) - 1

    def before_records(self, rows: NDArray[np.int64], labels: NDArray[np.int64]) -> NDArray[np.uint8]:
        """What precedes the pixels of these rows, ``(n, bytes)``."""
        found = np.empty((len(rows), len(self._before)), np.uint8)
        found[:] = self._before
        for byte, place in enumerate(range(self._key.stop - 1, self._key.start - 1, -1)):
            found[:, place] = rows >> 7 * byte & 127 | (128 if byte else 0)
        found[:, -_LABEL.itemsize :] = labels.astype(_LABEL).view(np.uint8).reshape(-1, _LABEL.itemsize)
        return found

    def positions(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """Of what precedes the pixels of these rows, in the file."""
        leaf, place = np.divmod(rows - self.start, self.per_page)
        in_page = np.minimum(self.per_page, self.stop - (rows - place))
        found: NDArray[np.int64] = page_numbers(self.leaf + leaf) * PAGE_BYTES - (in_page - place) * self.cell_bytes
        return found


class Rows:
    """All rows of a table.

    Parameters
    ----------
    count, record_bytes
        How many there are, and the bytes of each one's record.
    """

    def __init__(self, count: int, record_bytes: int) -> None:
        self.spans: list[Span] = []
        self.leaves = start = 0
        while start < count:
            stop = min(count, max(start, 1) << 7)
            self.spans.append(Span(start, stop, self.leaves, record_bytes))
            self.leaves += self.spans[-1].leaves
            start = stop

    @classmethod
    def of(cls, count: int, record_bytes: int | None) -> Rows | None:
        """Those of such a table, or None where rows are the library's: large, of mixed size, or all in one page."""
        if record_bytes is None or record_bytes > MAX_RECORD_BYTES:
            return None
        rows = cls(count, record_bytes)
        return rows if rows.leaves > 1 else None

    def blocks(self, start: int, stop: int) -> Iterator[Block]:
        """Rows ``start`` to ``stop``."""
        for span in self.spans:
            row, end = max(start, span.start), min(stop, span.stop)
            while row < end:
                yield (block := _block(span, row, end))
                row += block.count

    def branches(self) -> Iterator[tuple[int, bytes]]:
        """The pages above the leaves, each with its number; the root is the last."""
        pages = page_numbers(np.arange(self.leaves))
        last = np.concatenate([span.last_rows() for span in self.spans])
        following = self.leaves
        while len(pages) > 1:
            parts = -(-len(pages) // _CHILDREN)
            above = page_numbers(following + np.arange(parts)) if parts > 1 else np.array([ROOT])
            following += parts
            groups = np.array_split(pages, parts), np.array_split(last, parts)
            for number, children, keys in zip(above.tolist(), *groups, strict=True):
                yield number, _branch(children.tolist(), keys.tolist())
            pages, last = above, np.array([keys[-1] for keys in groups[1]])


def page_number(leaf: int) -> int:
    """Of a leaf, or of a branch, which are counted behind them."""
    page = FIRST_LEAF + leaf
    return page + (page >= LOCK_PAGE)


def page_numbers(leaves: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of many of them."""
    pages: NDArray[np.int64] = FIRST_LEAF + leaves
    return np.where(pages < LOCK_PAGE, pages, pages + 1)


def varint(number: int) -> bytes:
    """Seven bits a byte, the highest first; all but the last byte have their top bit set."""
    found = [number & 127]
    while number := number >> 7:
        found.append(number & 127 | 128)
    return bytes(found[::-1])


def _block(span: Span, row: int, end: int) -> Block:
    """The rows from ``row`` on that are in one page, or in whole ones."""
    leaf, place = divmod(row - span.start, span.per_page)
    page = page_number(span.leaf + leaf)
    in_page = min(span.per_page, span.stop - (row - place))
    rows, pages, skip = min(in_page - place, end - row), 1, PAGE_BYTES - (in_page - place) * span.cell_bytes
    if place:
        return Block(span, (page - 1) * PAGE_BYTES + skip, 1, rows * span.cell_bytes, row, rows, b"")
    if rows == span.per_page:  # all pages of a block are in one piece of a file that ends at a multiple of its size
        pages = min(PAGES_AT_ONCE - (page - 1) % PAGES_AT_ONCE, (end - row) // rows)
    pointers = np.arange(skip, PAGE_BYTES, span.cell_bytes).astype(_POINTER).tobytes()
    before = (_LEAF_HEAD.pack(_LEAF, 0, in_page, skip, 0) + pointers).ljust(skip, b"\0")
    return Block(span, (page - 1) * PAGE_BYTES, pages, skip + rows * span.cell_bytes, row, rows, before)


def _branch(children: list[int], keys: list[int]) -> bytes:
    """A page that leads to others: the number and the last key of each."""
    cells = [_CHILD.pack(child) + varint(key) for child, key in zip(children[:-1], keys[:-1], strict=True)]
    places = PAGE_BYTES - np.cumsum([len(cell) for cell in cells])
    head = _BRANCH_HEAD.pack(_BRANCH, 0, len(cells), places[-1], 0, children[-1]) + places.astype(_POINTER).tobytes()
    return head.ljust(places[-1], b"\0") + b"".join(reversed(cells))
