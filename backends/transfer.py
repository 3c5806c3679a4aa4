"""Whole transfers between memory and files: the kernel may move less than it was asked for."""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

import numpy as np

from backends.errors import ContainerDamaged

if TYPE_CHECKING:
    from typing import Any

    from numpy.typing import NDArray


def write_at(descriptor: int, data: NDArray[Any], position: int) -> None:
    """Write all of ``data``, C-contiguous, at a byte position."""
    view = data.reshape(-1).view(np.uint8).data
    while view:
        written = os.pwrite(descriptor, view, position)
        position += written
        view = view[written:]


def read_at(descriptor: int, into: NDArray[Any], position: int, path: str) -> None:
    """Fill ``into``, C-contiguous, from a byte position.

    Raises
    ------
    ContainerDamaged
        The file ends before ``into`` is full; ``path`` names it.
    """
    view = into.reshape(-1).view(np.uint8).data
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
