"""Where values lie in data.mdb, the one file of an LMDB environment in the format of LMDB 0.9.

Its pages form a B+ tree: branches lead to leaves; a leaf keeps keys, and values or, of larger ones, the number of the
page where they begin.  Names are those of mdb.c in LMDB.  A finished container does not change, so that reading it
needs none of LMDB's transactions and locks; whatever is in the file, nothing outside of it is touched.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    Spans = tuple[NDArray[np.int64], NDArray[np.int64]]

Size = TypeVar("Size", int, NDArray[np.int64])

PAGE_HEADER = struct.Struct("<QHHHH")
"""Number, unused, flags, where the free room starts (behind the places of the nodes) and where it ends."""
LOWER = 12
"""Where a page says the first of these."""
PLACE = struct.Struct("<H")
NODE_HEADER = struct.Struct("<IHH")
"""Bytes of the value, flags, bytes of the key that follows; of a branch, the first two are the number of a page."""
POINTER = struct.Struct("<Q")
META = struct.Struct("<IIQQ IHHQQQQQ IHHQQQQQ QQ")
"""Magic number, version, address, size of the map; the tree of free pages and the main one; last page, transaction.

Of a tree: size of a page, flags, depth; pages that are branches, leaves, overflow; entries; root.
"""
MAGIC, VERSION = 0xBEEFC0DE, 1
P_BRANCH, P_LEAF, P_OVERFLOW, P_META = 1, 2, 4, 8
F_BIGDATA = 1
ROW_KEY_BYTES = 8
"""Keys of images are their rows, big-endian; all others are shorter, and sort behind."""
FEW_ROWS = 10
"""So many are found one by one: the calls of numpy for any number take longer."""
_PAGE_SIZES = tuple(1 << power for power in range(8, 17))
_MAX_DEPTH = 32
_BEHIND_ALL = np.iinfo(np.int64).max
_BEHIND_END = "it names a page behind its end"


class _Meta(NamedTuple):
    transaction: int
    page_bytes: int
    last_page: int
    depth: int
    root: int


class Tree:
    """The main tree of an environment, as its latest transaction left it.

    Parameters
    ----------
    data
        The bytes of data.mdb, ``(n,)`` uint8.

    Attributes
    ----------
    page_bytes
        The size of a page.

    Raises
    ------
    ValueError
        Here and in every method: this is no such file, or it is damaged; in words that follow a colon.
    """

    def __init__(self, data: NDArray[np.uint8]) -> None:
        self._data, self._view = data, data.data
        first = self._meta(0)
        _, self.page_bytes, self._last_page, self._depth, self._root = max(first, self._meta(first.page_bytes))
        self._size = (self._last_page + 1) * self.page_bytes
        if len(data) < self._size:
            raise ValueError(f"it is cut, {len(data):,} bytes of {self._size:,}")
        if not 1 <= self._depth <= _MAX_DEPTH:
            raise ValueError("it keeps nothing")
        self._leaves: Spans | None = None

    def value(self, key: bytes) -> NDArray[np.uint8]:
        """A view of the value of one key; empty where there is none."""
        start, stop = self._find(key) or (0, 0)
        return self._data[start:stop]

    def spans(self, rows: NDArray[np.int64]) -> Spans:
        """Where the values of rows start and stop in the data, ``(n,)`` int64 each."""
        if len(rows) > FEW_ROWS:
            return self._find_all(rows)
        found = np.empty((2, len(rows)), np.int64)
        for place, row in enumerate(rows.tolist()):
            span = self._find(row.to_bytes(ROW_KEY_BYTES, "big"))
            if span is None:
                raise ValueError(f"image {row:,} is missing")
            found[:, place] = span
        return found[0], found[1]

    def _find(self, key: bytes) -> tuple[int, int] | None:
        """Where the value of one key starts and stops."""
        view, page, node = self._view, self._root, (0, 0, 0, b"")
        try:
            for level in range(1, self._depth + 1):
                start, places, high = self._page(page, P_LEAF if level == self._depth else P_BRANCH)
                low = 0
                while low < high:  # the last node whose key is not behind
                    middle = (low + high) // 2
                    here = start + PLACE.unpack_from(view, places + PLACE.size * middle)[0]
                    size, flags, key_bytes = NODE_HEADER.unpack_from(view, here)
                    here += NODE_HEADER.size
                    here_key = view[here : here + key_bytes].tobytes()
                    if here_key <= key:
                        low, node = middle + 1, (size, flags, here + key_bytes, here_key)
                    else:
                        high = middle
                if low == 0:
                    return None
                page = node[0] | node[1] << 32
            size, flags, begin, found = node
            if found != key:
                return None
            if flags & F_BIGDATA:
                begin = POINTER.unpack_from(view, begin)[0] * self.page_bytes + PAGE_HEADER.size
        except struct.error as error:
            raise ValueError(_BEHIND_END) from error
        if begin + size > self._size:
            raise ValueError(_BEHIND_END)
        return begin, begin + size

    def _find_all(self, rows: NDArray[np.int64]) -> Spans:
        """Where the values of rows start and stop, looked up all at once: in a leaf, rows follow one another."""
        place_at, long_at, key_at = (numbers_at(self._data, dtype) for dtype in ("<u2", "<i8", ">i8"))
        try:
            firsts, pages = self._all_leaves()
            leaf = firsts.searchsorted(rows, "right") - 1
            start, behind = pages[leaf] * self.page_bytes, PAGE_HEADER.size + PLACE.size * (rows - firsts[leaf])
            deleted = behind >= place_at[start + LOWER]
            start += place_at[start + behind]
            head = long_at[start]
            start += NODE_HEADER.size
            if (other := deleted | (key_at[start] != rows)).any():
                raise ValueError(f"image {rows[other][0]:,} is not in its place")
            start += ROW_KEY_BYTES
            big = np.flatnonzero(head & F_BIGDATA << 32)
            page = long_at[start[big]]
            if (page.view(np.uint64) > self._last_page).any():
                raise ValueError(_BEHIND_END)
            start[big] = page * self.page_bytes + PAGE_HEADER.size
        except IndexError as error:
            raise ValueError(_BEHIND_END) from error
        stop = start + (head & 0xFFFFFFFF)
        if stop.max() > self._size:
            raise ValueError(_BEHIND_END)
        return start, stop

    def _all_leaves(self) -> Spans:
        """The first row of each leaf, and the leaf's page: read from the branches alone."""
        if self._leaves is None:
            firsts, pages = np.array([0]), np.array([self._root])
            for _ in range(self._depth - 1):
                below, count = [], 0
                for branch in zip(firsts.tolist(), pages.tolist(), strict=True):
                    below.append(self._children(*branch))
                    count += below[-1].shape[1]
                    if count > self._last_page:
                        raise ValueError("a page of it has several parents")
                firsts, pages = np.hstack(below)
            self._leaves = firsts, pages
        return self._leaves

    def _children(self, first: int, page: int) -> NDArray[np.int64]:
        """The same of the pages below one branch, ``(2, n)``; ``first`` is its own."""
        start, places, count = self._page(page, P_BRANCH)
        nodes = start + self._data[places : places + PLACE.size * count].view("<u2").astype(np.int64)
        heads = numbers_at(self._data, "<i8")[nodes]
        # The key of a short one may end with the file.
        keys = numbers_at(self._data, ">i8")[np.minimum(nodes + NODE_HEADER.size, len(self._data) - ROW_KEY_BYTES)]
        firsts = np.where(heads >> 48 == ROW_KEY_BYTES, keys, _BEHIND_ALL)
        firsts[:1] = first
        return np.stack([firsts, heads & (1 << 48) - 1])

    def _page(self, page: int, kind: int) -> tuple[int, int, int]:
        """Where a page and the places of its nodes start, and how many these are."""
        start = page * self.page_bytes
        if page > self._last_page:
            raise ValueError(_BEHIND_END)
        try:
            number, _, flags, lower, _ = PAGE_HEADER.unpack_from(self._view, start)
        except struct.error as error:
            raise ValueError(_BEHIND_END) from error
        if number != page or not flags & kind or not PAGE_HEADER.size <= lower <= self.page_bytes:
            raise ValueError(f"page {page:,} of it is not what its parent says")
        return start, start + PAGE_HEADER.size, (lower - PAGE_HEADER.size) // PLACE.size

    def _meta(self, start: int) -> _Meta:
        try:
            found = META.unpack_from(self._view, start + PAGE_HEADER.size)
        except struct.error as error:
            raise ValueError("it ends before its first pages") from error
        page_bytes, (depth, *_, root, last_page, transaction) = found[4], found[14:]
        if found[:2] != (MAGIC, VERSION):
            raise ValueError("it is not in the format of LMDB 0.9")
        if page_bytes not in _PAGE_SIZES:
            raise ValueError(f"it has pages of {page_bytes:,} bytes")
        return _Meta(transaction, page_bytes, last_page, depth, root)


def numbers_at(data: NDArray[np.uint8], dtype: str) -> NDArray[Any]:
    """The number that begins at each byte of ``data``, flat, to read and to write."""
    return np.ndarray((len(data) - np.dtype(dtype).itemsize + 1,), dtype, data, strides=(1,))


def pages_of(size: Size, page_bytes: int) -> Size:
    """How many pages of its own a value of this size has, where it has them."""
    return (size + (PAGE_HEADER.size + page_bytes - 1)) // page_bytes
