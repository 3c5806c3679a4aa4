"""Writes data.mdb from its beginning to its end: values, leaves, branches, and then what leads to them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from backends.lmdb_pages import (
    MAX_NAMED_BYTES,
    META_PAGES,
    PAGE_BYTES,
    Level,
    Nodes,
    is_big,
    meta_pages,
    named_leaf,
    value_headers,
)
from backends.lmdb_tree import F_BIGDATA, P_BRANCH, P_LEAF, PAGE_HEADER, POINTER, pages_of
from backends.mapped_file import runs

if TYPE_CHECKING:
    from collections.abc import Iterable

    from numpy.typing import NDArray

    from backends.array_folder import NewFolder
    from backends.images import Records

START = META_PAGES * PAGE_BYTES
_ZEROS = memoryview(bytes(PAGE_BYTES))


class NewTree:
    """Writes large values and full leaves behind one another; the branches come at the end, what leads to them last.

    Parameters
    ----------
    folder
        What the pages are appended to, from ``START`` on.
    record_bytes
        Bytes of every record where all have the same, else None.
    """

    def __init__(self, folder: NewFolder, record_bytes: int | None) -> None:
        self._folder, self._record_bytes = folder, record_bytes
        self._leaves = Level(P_LEAF)
        self._count = 0

    def append(self, records: Records) -> None:
        """Add records, whose keys are their rows."""
        rows = np.arange(self._count, self._count + len(records))
        self._count += len(records)
        sizes = np.diff(records.offsets)
        big = is_big(sizes)
        contents, behind = records.data[records.offsets[0] : records.offsets[-1]], sizes
        headers = value_headers(self._pages, pages_of(sizes, PAGE_BYTES) * big)
        if big.any():
            self._write_big(records, big, headers)
            pointers, behind = headers[:, :1].copy().view(np.uint8), np.where(big, POINTER.size, sizes)
            if big.all():
                contents = pointers.reshape(-1)
            else:
                found = [pointers[i] if own else records.record(i) for i, own in enumerate(big.tolist())]
                contents = np.concatenate(found)
        nodes = Nodes(rows, sizes | F_BIGDATA * big << 32, behind, contents)
        self._folder.append(self._leaves.add(self._pages, nodes))

    def finish(self, values: dict[bytes, bytes]) -> None:
        """Write ``values`` of keys that are no rows, in order, the branches above all leaves, and the first pages."""
        self._folder.append(self._leaves.finish(self._pages))
        begin = {}
        for key, value in values.items():
            if len(value) > MAX_NAMED_BYTES:
                begin[key] = self._pages
                own = np.array([pages_of(len(value), PAGE_BYTES)])
                self._write_values([memoryview(value)], value_headers(self._pages, own))
        firsts = np.append(np.array(self._leaves.firsts), self._count)
        pages = np.append(np.array(self._leaves.pages), self._pages)
        self._folder.append(np.frombuffer(named_leaf(self._pages, values, begin), np.uint8))
        depth, leaves, branches = 1, len(pages), 0
        while len(pages) > 1:
            level = Level(P_BRANCH)
            nodes = Nodes(firsts, pages, 0 * pages, np.empty(0, np.uint8))
            self._folder.append(level.finish(self._pages, nodes))
            firsts, pages = np.array(level.firsts), np.array(level.pages)
            depth, branches = depth + 1, branches + len(pages)
        value_pages = self._pages - META_PAGES - leaves - branches
        tree = depth, branches, leaves, value_pages, self._count + len(values)
        self._folder.begin(meta_pages(tree, int(pages[0]), self._pages))

    @property
    def _pages(self) -> int:
        """How many pages there are: the number of the next one."""
        return self._folder.end // PAGE_BYTES

    def _write_big(self, records: Records, big: NDArray[np.bool_], headers: NDArray[np.int64]) -> None:
        size, starts, stops = self._record_bytes, records.offsets[:-1], records.offsets[1:]
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
        self._folder.append_pieces(pieces)

    def _write_single_pages(self, headers: NDArray[np.int64], values: NDArray[np.uint8]) -> None:
        """Write values of one size that have a page each; the system copies such pieces more slowly than numpy."""
        stop = PAGE_HEADER.size + values.shape[1]
        while len(values):
            room = self._folder.room(len(values) * PAGE_BYTES).reshape(-1, PAGE_BYTES)
            room[:, : PAGE_HEADER.size] = headers[: len(room)].view(np.uint8)
            room[:, PAGE_HEADER.size : stop] = values[: len(room)]
            room[:, stop:] = 0
            headers, values = headers[len(room) :], values[len(room) :]
