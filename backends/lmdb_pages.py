"""Makes the pages of data.mdb, whose parts ``lmdb_tree`` names, as LMDB lays them out."""

from __future__ import annotations

from array import array
from collections import deque
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from backends.images import offsets_of
from backends.lmdb_tree import (
    F_BIGDATA,
    MAGIC,
    META,
    NODE_HEADER,
    P_BRANCH,
    P_LEAF,
    P_META,
    P_OVERFLOW,
    PAGE_HEADER,
    PLACE,
    POINTER,
    ROW_KEY_BYTES,
    VERSION,
    numbers_at,
)
from backends.mapped_file import runs

if TYPE_CHECKING:
    from numpy.typing import NDArray

PAGE_BYTES = 4096
META_PAGES = 2
AT_ONCE_BYTES = 1 << 18
"""Nodes wait for others until there are so many bytes: the calls of numpy take as long for one page as for ten."""
_ROOM = PAGE_BYTES - PAGE_HEADER.size
_MAX_NODE_BYTES = _ROOM // 2 - PLACE.size
"""A leaf has room for two nodes at least; a value that does not fit into one has pages of its own."""
MAX_NAMED_BYTES = _ROOM // 3 - PLACE.size - NODE_HEADER.size - 6
"""So that three values with such keys fit into one leaf."""
_INTEGER_KEYS = 8
_NO_PAGE = (1 << 64) - 1


class Nodes(NamedTuple):
    """Nodes in the order of their keys, which are rows.

    Attributes
    ----------
    keys
        ``(n,)`` int64.
    heads
        ``(n,)`` int64, what stands before the key, without its length: size and flags of a value, or a page.
    sizes, contents
        What stands behind it: ``(n,)`` int64 its bytes, and all of it end to end, ``(bytes,)`` uint8.
    """

    keys: NDArray[np.int64]
    heads: NDArray[np.int64]
    sizes: NDArray[np.int64]
    contents: NDArray[np.uint8]


class Level:
    """Lays nodes out in pages of one kind, as soon as these are full.

    Attributes
    ----------
    firsts, pages
        The first key and the number of each page: what the level above consists of.
    """

    def __init__(self, kind: int) -> None:
        self._kind = kind
        self._unused = ROW_KEY_BYTES if kind == P_BRANCH else 0
        """The first node of a branch has no key."""
        none = np.empty(0, np.int64)
        self._waiting = [Nodes(none, none, none, np.empty(0, np.uint8))]
        self._waiting_bytes = 0
        self.firsts, self.pages = array("q"), array("q")

    def add(self, page: int, nodes: Nodes) -> NDArray[np.uint8]:
        """Take a copy of more nodes; return pages that are full, ``(n, 4096)`` uint8, numbered from ``page`` on."""
        self._waiting.append(nodes._replace(contents=nodes.contents.copy()))
        self._waiting_bytes += nodes.keys.nbytes + nodes.contents.nbytes
        return self._ready(page, 1) if self._waiting_bytes >= AT_ONCE_BYTES else np.empty((0, PAGE_BYTES), np.uint8)

    def finish(self, page: int, *nodes: Nodes) -> NDArray[np.uint8]:
        """The pages of all nodes that are left, and of these, as ``add`` returns them."""
        self._waiting += nodes
        return self._ready(page, 0)

    def _ready(self, page: int, kept: int) -> NDArray[np.uint8]:
        """The pages of all nodes but those of the last ``kept`` ones, which may not be full."""
        nodes = Nodes(*map(np.concatenate, zip(*self._waiting, strict=True)))
        lengths = NODE_HEADER.size + ROW_KEY_BYTES + nodes.sizes
        lengths += lengths & 1
        bounds = self._bounds(lengths)
        bounds = bounds[: len(bounds) - kept]
        done, end = bounds[-1], nodes.sizes[: bounds[-1]].sum()
        keys, heads, sizes, contents = nodes
        self._waiting = [Nodes(keys[done:], heads[done:], sizes[done:], contents[end:])]
        self._waiting_bytes = 0
        self.firsts.extend(keys[bounds[:-1]].tolist())
        self.pages.extend(range(page, page + len(bounds) - 1))
        return self._lay_out(page, bounds, lengths[:done], Nodes(keys[:done], heads[:done], sizes[:done], contents))

    def _bounds(self, lengths: NDArray[np.int64]) -> NDArray[np.int64]:
        """Which nodes of these lengths begin a page, and at last how many there are."""
        ends, bounds, before = (lengths + PLACE.size).cumsum(), [0], 0
        while bounds[-1] < len(lengths):
            bounds.append(int(ends.searchsorted(before + _ROOM + self._unused, "right")))
            before = int(ends[bounds[-1] - 1])
        if self._kind == P_BRANCH and bounds[-2:-1] == [len(lengths) - 1] and len(bounds) > 2:
            bounds[-2] -= 1  # a branch with a single child would stop the library (mdb_page_search_root)
        return np.array(bounds)

    def _lay_out(
        self, page: int, bounds: NDArray[np.int64], lengths: NDArray[np.int64], nodes: Nodes
    ) -> NDArray[np.uint8]:
        """Pages from ``bounds`` on; their nodes lie from the end backwards, and where they do, from the beginning."""
        counts, firsts, ends = np.diff(bounds), bounds[:-1], offsets_of(lengths)
        pages = np.zeros((len(counts), PAGE_BYTES), np.uint8)
        if not len(pages):
            return pages
        room = PAGE_BYTES + self._unused - np.diff(ends[bounds])
        headers = pages.view("<i8")
        headers[:, 0] = page + np.arange(len(counts))
        headers[:, 1] = self._kind << 16 | (PAGE_HEADER.size + PLACE.size * counts) << 32 | room << 48
        index = np.arange(len(lengths)) - np.repeat(firsts, counts)
        place = PAGE_BYTES + self._unused - (ends[1:] - np.repeat(ends[firsts], counts))
        keyed = index >= (self._unused > 0)
        start = np.repeat(np.arange(len(counts)) * PAGE_BYTES, counts)
        flat, node = pages.reshape(-1), start + place
        numbers_at(flat, "<u2")[start + PAGE_HEADER.size + PLACE.size * index] = place
        numbers_at(flat, "<i8")[node] = nodes.heads | (keyed * ROW_KEY_BYTES) << 48
        node += NODE_HEADER.size
        numbers_at(flat, ">i8")[node[keyed]] = nodes.keys[keyed]
        if self._kind == P_LEAF:
            _put(flat, node + ROW_KEY_BYTES, nodes)
        return pages


def is_big(sizes: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Whether the values of rows, of these sizes, have pages of their own."""
    return sizes > _MAX_NODE_BYTES - NODE_HEADER.size - ROW_KEY_BYTES


def value_headers(first: int, pages: NDArray[np.int64]) -> NDArray[np.int64]:
    """What stands before values that have so many pages of their own each, from page ``first`` on, ``(n, 2)`` int64."""
    return np.stack([first + np.cumsum(pages) - pages, P_OVERFLOW << 16 | pages << 32], axis=1)


def named_leaf(page: int, values: dict[bytes, bytes], pages: dict[bytes, int]) -> bytes:
    """A leaf of keys that are no rows, in order; ``pages``: where the values of some begin, in pages of their own."""
    nodes, places = b"", b""
    for key, value in values.items():
        big = key in pages
        node = NODE_HEADER.pack(len(value), F_BIGDATA * big, len(key)) + key
        node += POINTER.pack(pages[key]) if big else value
        nodes = node + bytes(len(node) % 2) + nodes
        places += PLACE.pack(PAGE_BYTES - len(nodes))
    lower, upper = PAGE_HEADER.size + len(places), PAGE_BYTES - len(nodes)
    return PAGE_HEADER.pack(page, 0, P_LEAF, lower, upper) + places + bytes(upper - lower) + nodes


def meta_pages(tree: tuple[int, int, int, int, int], root: int, pages: int) -> bytes:
    """The first two pages: of the environment as it was made, and of the transaction that added all others.

    Parameters
    ----------
    tree
        Depth; number of branches, leaves, pages of large values, entries.
    root, pages
        Number of the root page, and of all pages.
    """
    found = b""
    for number, *main, last in (0, 0, 0, 0, 0, 0, _NO_PAGE, 1), (1, *tree, root, pages - 1):
        free = PAGE_BYTES, _INTEGER_KEYS, 0, 0, 0, 0, 0, _NO_PAGE
        page = PAGE_HEADER.pack(number, 0, P_META, 0, 0)
        page += META.pack(MAGIC, VERSION, 0, pages * PAGE_BYTES, *free, 0, 0, *main, last, number)
        found += page.ljust(PAGE_BYTES, b"\0")
    return found


def _put(pages: NDArray[np.uint8], places: NDArray[np.int64], nodes: Nodes) -> None:
    """Copy what stands behind the keys to its places."""
    offsets = offsets_of(nodes.sizes)
    if (nodes.sizes == POINTER.size).all():
        numbers_at(pages, "<i8")[places] = nodes.contents[: offsets[-1]].view("<i8")
        return
    spans = map(slice, places.tolist(), (places + nodes.sizes).tolist())
    values = runs(nodes.contents, offsets[:-1], offsets[1:])
    deque(map(pages.data.__setitem__, spans, values), maxlen=0)  # no line of Python runs for each
