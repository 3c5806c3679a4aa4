"""Whole transfers between memory and files: the kernel may move less than it was asked for."""

from __future__ import annotations

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
