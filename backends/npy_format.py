"""Arrays as ``.npy`` files: what numpy writes, and where in a file the data lies; nothing is parsed or unpickled.

A header is compared with the one that numpy writes for the array that has to be there; only its padding may differ.
"""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

HEAD_BYTES = 1 << 12
"""A page, and more than any header of an array with few dimensions."""
_MAGIC = slice(0, 8)
_LENGTH = slice(8, 10)
_DIGITS = 21
_ALIGNMENT = 64


def npy_header(dtype: str, shape: tuple[int, ...]) -> bytes:
    """What precedes the data of a ``.npy`` file, as numpy writes it: with room for any ``shape[0]``."""
    text = f"{{'descr': '{dtype}', 'fortran_order': False, 'shape': {shape}, }}"
    text += " " * (_DIGITS - len(str(shape[0])))
    padding = -(_LENGTH.stop + len(text) + 1) % _ALIGNMENT
    return b"\x93NUMPY\x01\0" + struct.pack("<H", len(text) + padding + 1) + f"{text}{' ' * padding}\n".encode()


def npy_bytes(array: NDArray[Any]) -> bytes:
    """A whole ``.npy`` file, little-endian."""
    little_endian = array.astype(array.dtype.newbyteorder("<"), copy=False)
    return npy_header(little_endian.dtype.str, array.shape) + little_endian.tobytes()


def data_start(head: bytes, size: int, dtype: str, shape: tuple[int, ...] | None) -> int | None:
    """Where data begins in a file of ``size`` bytes that starts with ``head``.

    Parameters
    ----------
    shape
        None for one dimension of whatever length the file has.

    Returns
    -------
    None where the file is not exactly a C-contiguous array of this type and shape.
    """
    start = _LENGTH.stop + int.from_bytes(head[_LENGTH], "little")
    if shape is None:
        shape = (max(0, size - start),)
    expected = npy_header(dtype, shape)
    same = head[_MAGIC] == expected[_MAGIC] and head[_LENGTH.stop : start].rstrip() == expected[_LENGTH.stop :].rstrip()
    return start if same and size == start + np.dtype(dtype).itemsize * math.prod(shape) else None
