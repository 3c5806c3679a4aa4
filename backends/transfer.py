"""Whole transfers between memory and files: the kernel may move less than it was asked for."""

from __future__ import annotations

import errno
import mmap
import os
from typing import TYPE_CHECKING

import numpy as np

from backends.errors import ContainerDamaged

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray


CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
"""How a new file is opened: nothing may be there yet, and no link is followed."""
HUGE_PAGE = 1 << 21
"""Of x86-64 and of arm64 with pages of 4 KiB."""
_MOST_VIEWS = 1024
"""IOV_MAX of Linux and macOS."""


def write_at(descriptor: int, data: NDArray[Any], position: int) -> None:
    """Write all of ``data``, C-contiguous, at a byte position."""
    _write_all(descriptor, [_bytes_of(data)], position)


class AlignedWriter:
    """Writes bytes, mostly one behind the other, in pieces that end at multiples of 2 MiB of the file.

    Linux keeps what was written in such pieces as huge pages where the filesystem can (ext4 from 6.16, XFS); a map of
    them has a page table of a few lines, so that rows are gathered from it nearly as fast as from an array.  What is
    left of the last piece waits for more of it.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._waiting = page_buffer(HUGE_PAGE)
        self._start = self._stop = 0
        """What waits belongs there in the file."""

    def write(self, data: NDArray[Any], position: int) -> None:
        """Write ``data``, C-contiguous, at a byte position, at the latest when ``flush`` is called."""
        if position != self._stop:
            self.flush()
            self._start = position
        stop = position + data.nbytes
        boundary = stop // HUGE_PAGE * HUGE_PAGE
        view, waiting = _bytes_of(data), self._waiting.data
        if boundary > self._start:
            _write_all(self._descriptor, [waiting[: position - self._start], view[: boundary - position]], self._start)
            view, self._start = view[boundary - position :], boundary
        waiting[stop - self._start - len(view) : stop - self._start] = view
        self._stop = stop

    def room(self, size: int, position: int) -> NDArray[np.uint8]:
        """Memory for the next bytes from a position on, ``size`` or fewer, to be filled before any other call."""
        if position != self._stop or position % HUGE_PAGE == 0:
            self.flush()
            self._start = self._stop = position
        self._stop = min(position + size, (position // HUGE_PAGE + 1) * HUGE_PAGE)
        return self._waiting[position - self._start : self._stop - self._start]

    def write_pieces(self, pieces: list[memoryview], position: int) -> None:
        """Write pieces one behind the other from where they are."""
        self.flush()
        _write_all(self._descriptor, pieces, position)

    def flush(self) -> None:
        """Write what waits."""
        _write_all(self._descriptor, [self._waiting.data[: self._stop - self._start]], self._start)
        self._start = self._stop


def page_buffer(size: int) -> NDArray[np.uint8]:
    """Memory that begins with a page, ``(size,)`` uint8, not filled.

    Large arrays of numpy begin 16 bytes behind one; some processors copy from or to there at a third of their speed,
    where the other side begins with a page, as in files.
    """
    room = np.empty(size + mmap.PAGESIZE, np.uint8)
    start = -room.ctypes.data % mmap.PAGESIZE
    return room[start : start + size]


def read_at(descriptor: int, into: NDArray[Any], position: int, path: str) -> None:
    """Fill ``into``, C-contiguous, from a byte position.

    Raises
    ------
    ContainerDamaged
        The file ends before ``into`` is full; ``path`` names it.
    """
    view = _bytes_of(into)
    while view:
        got = os.preadv(descriptor, [view], position)
        if not got:
            raise ContainerDamaged(f"{path} ends before byte {position + len(view):,}: make it again from its source.")
        position += got
        view = view[got:]


def reserve(descriptor: int, start: int, stop: int) -> None:
    """Have the filesystem set bytes ``start`` to ``stop`` aside, where it can.

    Raises
    ------
    OSError
        It has no room for them.
    """
    if start < stop and hasattr(os, "posix_fallocate"):
        try:
            os.posix_fallocate(descriptor, start, stop - start)
        except OSError as error:
            if error.errno not in (errno.EOPNOTSUPP, errno.EINVAL):
                raise


def fetch_ahead(descriptor: int, starts: NDArray[np.int64], stops: NDArray[np.int64]) -> bool:
    """Ask for scattered runs of a file all at once, where they are not in memory yet.

    A map brings in one page after the other, waiting for each; the device is several times as fast when it knows all
    of them.  Whether it is worth asking, a look at some of the runs tells without waiting (Linux).

    Returns
    -------
    Whether it asked.
    """
    if not (hasattr(os, "RWF_NOWAIT") and hasattr(os, "posix_fadvise")):
        return False
    if _are_in_memory(descriptor, starts[:: max(1, len(starts) // 8)].tolist()):
        return False
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        os.posix_fadvise(descriptor, start, stop - start, os.POSIX_FADV_WILLNEED)
    return True


def _are_in_memory(descriptor: int, positions: list[int]) -> bool:
    byte = [bytearray(1)]
    try:
        return all(os.preadv(descriptor, byte, position, os.RWF_NOWAIT) == 1 for position in positions)
    except BlockingIOError:
        return False
    except OSError:  # this filesystem cannot tell
        return True


def _bytes_of(data: NDArray[Any]) -> memoryview:
    return data.reshape(-1).view(np.uint8).data


def _write_all(descriptor: int, views: list[memoryview], position: int) -> None:
    views, done = [view for view in views if view], 0
    while done < len(views):
        written = os.pwritev(descriptor, views[done : done + _MOST_VIEWS], position)
        position += written
        while done < len(views) and written >= len(views[done]):
            written -= len(views[done])
            done += 1
        if written:
            views[done] = views[done][written:]
