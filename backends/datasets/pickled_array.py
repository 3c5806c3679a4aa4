"""What a pickled uint8 array consists of, as inert values: the globals it names, its type, its shape and bytes."""

from __future__ import annotations

import codecs
from dataclasses import dataclass
from enum import Enum
from math import prod


class Refused(Exception):
    """Why a pickle is refused, as the end of a sentence that begins with the file's name."""


def printable(name: str) -> str:
    """A name from a file, short and free of control characters."""
    return ascii(name[:60])[1:-1][:60]


class Global(Enum):
    """What a pickled array refers to; only marks, nothing is called."""

    RECONSTRUCT = "numpy reconstruct"
    FROMBUFFER = "numpy frombuffer"
    NDARRAY = "numpy ndarray"
    DTYPE = "numpy dtype"
    ENCODE = "encode"


GLOBALS = {
    ("numpy.core.multiarray", "_reconstruct"): Global.RECONSTRUCT,
    ("numpy._core.multiarray", "_reconstruct"): Global.RECONSTRUCT,
    ("numpy.core.numeric", "_frombuffer"): Global.FROMBUFFER,
    ("numpy._core.numeric", "_frombuffer"): Global.FROMBUFFER,
    ("numpy", "ndarray"): Global.NDARRAY,
    ("numpy", "dtype"): Global.DTYPE,
    ("_codecs", "encode"): Global.ENCODE,
}


@dataclass(slots=True)
class DType:
    """A numpy type by its code."""

    code: str


@dataclass(slots=True)
class Array:
    """A uint8 array in C order: ``shape``, and as many ``data`` bytes as it says."""

    shape: tuple[int, ...] | None = None
    data: bytes | memoryview = b""


@dataclass(slots=True)
class Text:
    """A large text, not yet decoded: in Python 3's protocols 0 to 2 it stands for bytes."""

    data: memoryview
    encoding: str

    def to_latin1(self) -> bytes:
        """Piece by piece: a decoded text may take four times its bytes."""
        decoder = codecs.getincrementaldecoder(self.encoding)()
        found = bytearray()
        for start in range(0, len(self.data), 1 << 20):
            found += decoder.decode(self.data[start : start + (1 << 20)]).encode("latin-1")
        found += decoder.decode(b"", final=True).encode("latin-1")
        return bytes(found)


def construct(function: object, arguments: object) -> Array | DType:
    """What calling ``function`` would begin: an empty array, a whole one, or a type.

    Raises
    ------
    Refused
        Anything else is called.
    """
    match function, arguments:
        case Global.RECONSTRUCT, (Global.NDARRAY, (0,), b"b" | "b"):
            return Array()
        case Global.DTYPE, (bytes() | str() as code, *_):
            return DType(code if isinstance(code, str) else code.decode("latin-1"))
        case Global.FROMBUFFER, (data, dtype, shape, "C" | b"C"):
            return Array(*_checked(shape, dtype, data))
    raise Refused("is broken: it makes something else than an array of pixels")


def set_state(target: object, state: object) -> None:
    """Complete an array or a type that ``construct`` began.

    Raises
    ------
    Refused
        ``target`` is neither, or ``state`` is not that of a uint8 array in C order.
    """
    match target, state:
        case DType(), (int(), _, None, None, None, int(), int(), int(), *_):
            return
        case Array(shape=None), (int(), shape, dtype, False | 0, data):
            target.shape, target.data = _checked(shape, dtype, data)
        case Array(shape=None), (int(), _, DType(), _, _):
            raise Refused("has an array that is stored column by column, which a CIFAR batch is not")
        case _:
            raise Refused("is broken: it changes something else than an array of pixels")


def _checked(shape: object, dtype: object, data: object) -> tuple[tuple[int, ...], bytes | memoryview]:
    """Raises Refused where the three are not those of a uint8 array."""
    if not isinstance(dtype, DType) or dtype.code not in ("u1", "|u1"):
        found = printable(dtype.code) if isinstance(dtype, DType) else "unknown type"
        raise Refused(f"has pixels that are numbers of type {found!r} instead of bytes (u1)")
    if not isinstance(shape, tuple) or len(shape) > 4:
        raise Refused("has an array without a shape")
    if not all(type(length) is int and 0 <= length < 1 << 32 for length in shape):
        raise Refused("has an array of an impossible shape")
    size = prod(shape)
    if not isinstance(data, bytes | memoryview) or len(data) != size:
        found = f"{len(data):,}" if isinstance(data, bytes | memoryview) else "no"
        raise Refused(f"has an array of {size:,} bytes by its shape and {found} bytes of data")
    return shape, data
