"""Files that are read by position, or through a map where scattered pieces of them are wanted at once."""

from __future__ import annotations

import mmap
import os
import stat
import weakref
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.errors import ContainerDamaged, refusal

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from numpy.typing import NDArray

READ_BYTES = 1 << 20
"""Of pieces with gaps between them, so much is read at once, and copied while a processor has it in its cache."""
READS_BEFORE_A_LOOK = 15
"""Once pieces were in memory, so many reads take it for granted: looking costs a tenth of a batch."""
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC


class MappedFile:
    """An open file of ``size`` bytes.  Its map is made on first use; where there can be none, every piece is read.

    It is opened by ``path``, or where ``folder``, a descriptor, is given, by ``name`` from there, which may be no link.
    Raises OSError where it is not there, NotAllowed and TooManyFiles where it may not be opened, ContainerDamaged where
    it is no regular file.
    """

    def __init__(self, path: Path, folder: int | None = None, name: str = "") -> None:
        self._path = path
        self._map: NDArray[np.uint8] | None = None
        self._may_map = True
        self._reads_before_a_look = 0
        try:
            if folder is None:
                self._descriptor = os.open(path, _READ)
            else:
                self._descriptor = os.open(name, _READ | os.O_NOFOLLOW, dir_fd=folder)
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

    def head(self, size: int = 1 << 12) -> bytes:
        """Its first bytes, ``size`` or all that there are."""
        data = np.empty(min(size, self.size), np.uint8)
        self.fill(data, 0)
        return data.tobytes()

    def fill_rows(self, into: NDArray[np.uint8], first: int, distance: int) -> None:
        """Read neighbouring pieces of one size, which lie as ``take`` says, into all rows of ``into``."""
        count, size = into.shape
        if size == distance:
            self.fill(into, first)
            return
        some = max(1, READ_BYTES // distance)
        buffer = np.empty(min(some, count) * distance, np.uint8)
        for low in range(0, count, some):
            rows = into[low : low + some]
            pieces = buffer[: (len(rows) - 1) * distance + size]
            self.fill(pieces, first + low * distance)
            rows[:] = _spaced(pieces, size, distance)

    def take(self, rows: NDArray[np.int64], into: NDArray[np.uint8], first: int, distance: int) -> None:
        """Copy pieces of one size, at byte ``first`` and each ``distance`` bytes on, into the rows of ``into``."""
        size = into.shape[1]
        starts = first + rows * distance
        data = self._mapped(starts, starts + size)
        if data is None:
            for start, row in zip(starts.tolist(), into, strict=True):
                self.fill(row, start)
        elif size == distance:
            pieces = data[first : first + (self.size - first) // size * size].reshape(-1, size)
            pieces.take(rows, axis=0, out=into, mode="clip")  # the default mode copies `out` first
        else:
            into[:] = _spaced(data[first:], size, distance)[rows]

    def runs(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> Iterator[memoryview]:
        """The bytes from each start to its stop, one after the other; none may outlive the file."""
        data = self._mapped(starts, stops)
        if data is None:
            return map(self._piece, starts.tolist(), stops.tolist())
        return slices(data, starts, stops)

    def close(self) -> None:
        self._closing()
        self._map = None

    def _mapped(self, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> NDArray[np.uint8] | None:
        """A read-only map of all bytes, of which these runs are wanted next; None where there can be no map."""
        if self._map is None and self._may_map:
            try:
                self._map = np.frombuffer(mmap.mmap(self._descriptor, self.size, prot=mmap.PROT_READ), np.uint8)
            except (OSError, ValueError):  # no maps on this filesystem, no descriptor left for one, or an empty file
                self._may_map = False
        if self._map is not None:
            self._reads_before_a_look -= 1
            if self._reads_before_a_look < 0 and not fetch_ahead(self._descriptor, starts, stops):
                self._reads_before_a_look = READS_BEFORE_A_LOOK
        return self._map

    def _piece(self, start: int, stop: int) -> memoryview:
        piece = np.empty(stop - start, np.uint8)
        self.fill(piece, start)
        return piece.data


def open_folder(path: Path) -> int:
    """A descriptor of the folder ``path``.  Raises FileNotFoundError, NotAllowed, TooManyFiles and ContainerDamaged."""
    try:
        return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except NotADirectoryError as error:
        raise ContainerDamaged(f"{path} is no folder; make it again from its source.") from error
    except OSError as error:
        raise refusal(error, path) or error from error


def slices(data: NDArray[np.uint8], starts: NDArray[np.int64], stops: NDArray[np.int64]) -> Iterator[memoryview]:
    """The bytes of ``data`` from each start to its stop."""
    return map(data.data.__getitem__, map(slice, starts.tolist(), stops.tolist()))


def _spaced(data: NDArray[np.uint8], size: int, distance: int) -> NDArray[np.uint8]:
    """All pieces of ``size`` bytes that begin ``distance`` bytes apart, ``(n, size)``: a view of ``data``, flat."""
    count = (len(data) - size) // distance + 1
    return np.ndarray((count, size), np.uint8, data, strides=(distance, 1))


def read_at(descriptor: int, into: NDArray[Any], position: int, path: str) -> None:
    """Fill ``into``, C-contiguous, from a byte position.  Raises ContainerDamaged where the file ends before."""
    view = into.reshape(-1).view(np.uint8).data
    while view:
        got = os.preadv(descriptor, [view], position)
        if not got:
            raise ContainerDamaged(f"{path} ends before byte {position + len(view):,}: make it again from its source.")
        position += got
        view = view[got:]


def fetch_ahead(descriptor: int, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> bool:
    """Ask for scattered runs of a file all at once, where they are not in memory yet; return whether it asked.

    A map brings in one page after the other, waiting for each; the device is several times as fast when it knows all
    of them.  Whether it is worth asking, a look at some of the runs tells without waiting (Linux).
    """
    if not (hasattr(os, "RWF_NOWAIT") and hasattr(os, "posix_fadvise")):
        return False
    byte = [bytearray(1)]
    try:
        for position in starts[:: max(1, len(starts) // 8)].tolist():
            os.preadv(descriptor, byte, position, os.RWF_NOWAIT)
    except BlockingIOError:
        for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
            if start < stop:  # a length of 0 would mean the rest of the file
                os.posix_fadvise(descriptor, start, stop - start, os.POSIX_FADV_WILLNEED)
        return True
    except OSError:  # this filesystem cannot tell
        pass
    return False
