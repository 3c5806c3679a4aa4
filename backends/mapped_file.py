"""A regular file that is read by position, or through a map where scattered pieces of it are wanted at once."""

from __future__ import annotations

import mmap
import os
import stat
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.errors import ContainerDamaged, refusal
from backends.transfer import fetch_ahead, page_buffer, read_at

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

CACHED_BYTES = 1 << 20
"""So much is read, then copied while a processor has it in a cache; less at once takes longer, for its calls."""
READS_BEFORE_A_LOOK = 15
"""Where what is wanted was in memory, so many reads take it for granted: looking costs a tenth of a batch."""
SMALL_BYTES = 1 << 16
"""A file of so many bytes is read in less time than it is mapped."""
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class MappedFile:
    """An open file; its map is made on first use, and where the filesystem has none, every piece is read.

    Parameters
    ----------
    flags
        Further ones for ``open``, such as O_NOFOLLOW.

    Raises
    ------
    OSError
        It is not there.
    NotAllowed, TooManyFiles
        It may not be opened.
    ContainerDamaged
        It is no regular file.
    """

    def __init__(self, path: Path, flags: int = 0) -> None:
        self._path = path
        self._map: NDArray[np.uint8] | None = None
        self._array: tuple[tuple[int, int, int], NDArray[np.uint8]] | None = None
        self._may_map = True
        self._reads_before_a_look = 0
        try:
            self._descriptor = os.open(path, _READ | flags)
        except OSError as error:
            raise refusal(error, path) or error from error
        self._closing = weakref.finalize(self, os.close, self._descriptor)
        facts = os.fstat(self._descriptor)
        self.size = facts.st_size
        if not stat.S_ISREG(facts.st_mode):
            self.close()
            raise ContainerDamaged(f"{path} is not a regular file; make it again from its source.")

    @property
    def is_open(self) -> bool:
        return self._closing.alive

    def fill(self, into: NDArray[Any], position: int) -> None:
        """Read until ``into``, C-contiguous, is full.  Raises ContainerDamaged where the file ends before."""
        read_at(self._descriptor, into, position, str(self._path))

    def fill_rows(self, into: NDArray[np.uint8], first: int, distance: int) -> None:
        """Read pieces of one size into the rows of ``into``, each ``distance`` bytes behind the one before.

        What lies between is read too, but stays in a processor's cache, from which the pieces are copied.
        """
        count, size = into.shape
        some = max(1, CACHED_BYTES // distance)
        between = page_buffer(min(some, count) * distance)
        for low in range(0, count, some):
            rows = into[low : low + some]
            read = between[: len(rows) * distance - (distance - size)]
            self.fill(read, first + low * distance)
            rows[:] = pieces(read, size, distance)

    def take(self, rows: NDArray[np.int64], into: NDArray[np.uint8], first: int, distance: int) -> None:
        """Copy pieces of one size into the rows of ``into``, ``(len(rows), size)``.

        Piece 0 begins at byte ``first``, each other one ``distance`` bytes behind the one before.
        """
        size = into.shape[1]
        data = self.mapped()
        if data is None:
            for row, place in zip(rows.tolist(), into, strict=True):
                self.fill(place, first + row * distance)
            return
        if self._wants_a_look():
            self._look(first + rows * distance, first + rows * distance + size)
        if self._array is None or self._array[0] != (first, size, distance):
            self._array = (first, size, distance), pieces(data[first:], size, distance)
        array = self._array[1]
        if size == distance:
            array.take(rows, axis=0, out=into, mode="clip")
        else:
            into[:] = array[rows]

    def runs(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> Iterator[memoryview]:
        """The bytes from each start to its stop, one after the other; none may outlive the file."""
        data = self.mapped()
        if data is None:
            return (self._piece(start, stop) for start, stop in zip(starts.tolist(), stops.tolist(), strict=True))
        if self._wants_a_look():
            self._look(starts, stops)
        return runs(data, starts, stops)

    def close(self) -> None:
        self._closing()
        self._map = self._array = None

    def mapped(self) -> NDArray[np.uint8] | None:
        """All bytes, read-only: a map, or where that takes longer, a copy; None where there can be no map."""
        if self._map is None and 0 < self.size <= SMALL_BYTES:
            data = np.empty(self.size, np.uint8)
            self.fill(data, 0)
            data.flags.writeable = False
            self._map = data
        if self._map is None and self._may_map:
            try:
                self._map = np.frombuffer(mmap.mmap(self._descriptor, self.size, prot=mmap.PROT_READ), np.uint8)
            except (OSError, ValueError):  # no maps on this filesystem, no descriptor left for one, or an empty file
                self._may_map = False
        return self._map

    def _wants_a_look(self) -> bool:
        self._reads_before_a_look -= 1
        return self._reads_before_a_look < 0 and self.size > SMALL_BYTES  # else it is a copy in memory

    def _look(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> None:
        if not fetch_ahead(self._descriptor, starts, stops):
            self._reads_before_a_look = READS_BEFORE_A_LOOK

    def _piece(self, start: int, stop: int) -> memoryview:
        piece = np.empty(stop - start, np.uint8)
        self.fill(piece, start)
        return piece.data


def runs(data: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]) -> Iterator[memoryview]:
    """The bytes from each start to its stop, one after the other."""
    view = data.data
    return (view[start:stop] for start, stop in zip(starts.tolist(), stops.tolist(), strict=True))


def pieces(data: NDArray[np.uint8], size: int, distance: int) -> NDArray[np.uint8]:
    """All pieces of ``size`` bytes that begin ``distance`` bytes apart, ``(n, size)``: a view of ``data``, flat."""
    count = (len(data) - size) // distance + 1
    return np.ndarray((count, size), np.uint8, data, strides=(distance, 1))
