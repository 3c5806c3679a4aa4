"""Unpickles CIFAR batches from strangers: runs no code, and needs memory of a few times the file's size at most.

A pickle is a program.  Only the few instructions are allowed that CIFAR batches consist of, in protocols 0 to 5 as
Python 2 and 3 with numpy 1 and 2 write them, and not many of them.  Large strings and dictionaries are taken out of the
program, as the standard library's unpickler would copy the former and hash any key.  It then runs what is left, with
inert stand-ins for the functions of numpy that a batch names; every other name is refused.
"""

from __future__ import annotations

import codecs
import io
import pickle
import pickletools
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from backends.datasets.regular_file import printable

if TYPE_CHECKING:
    from numpy.typing import NDArray

MIN_INSTRUCTIONS = 4096
BYTES_PER_INSTRUCTION = 256
"""A pickle may have one instruction for so many of its bytes, and ``MIN_INSTRUCTIONS`` more; a batch has at most 8 for
an image of 3,072 bytes.  This bounds time."""

MIN_BYTES = 1 << 20
BYTES_PER_BYTE = 32
"""Of so many bytes one may be something other than pixels, and ``MIN_BYTES`` more; a batch has 24 for an image.  This
bounds memory."""

LARGE = 1024
"""Strings of so many bytes are pixels, which are kept as bytes, if possible as a view of the file."""

MAX_LINE = 256
"""Characters of a number or a name in the text instructions."""

_ALLOWED = """
    PROTO FRAME STOP NONE NEWTRUE NEWFALSE BININT1 BININT2 BININT INT LONG LONG1 SHORT_BINSTRING BINSTRING STRING
    SHORT_BINBYTES BINBYTES BINBYTES8 BYTEARRAY8 SHORT_BINUNICODE BINUNICODE BINUNICODE8 UNICODE
    MARK EMPTY_TUPLE TUPLE1 TUPLE2 TUPLE3 TUPLE EMPTY_LIST LIST APPEND APPENDS EMPTY_DICT DICT SETITEM SETITEMS
    BINPUT LONG_BINPUT PUT MEMOIZE BINGET LONG_BINGET GET GLOBAL STACK_GLOBAL REDUCE BUILD
"""
_INSTRUCTIONS = {
    ord(code.code): (code.name, code.arg.n if code.arg else 0)
    for code in pickletools.opcodes
    if code.name in _ALLOWED.split()
}
_LENGTH_BYTES = {
    pickletools.TAKEN_FROM_ARGUMENT1: 1,
    pickletools.TAKEN_FROM_ARGUMENT4: 4,
    pickletools.TAKEN_FROM_ARGUMENT4U: 4,
    pickletools.TAKEN_FROM_ARGUMENT8U: 8,
}
_NEW_DICTIONARY = b"NQ"
"""Instructions that push what ``persistent_load`` returns for None."""


class BadPickle(Exception):
    """Why a pickle is refused, as the end of a sentence that begins with the file's name."""


def unpickle(data: bytes) -> object:
    """The value of a pickle: dict, list, tuple, int, bool, None, bytes, str, memoryview (of ``data``) or PickledArray.

    Strings of Python 2 are bytes.  Raises BadPickle if it is not a pickle, is truncated or broken, or has anything that
    a CIFAR batch does not need.
    """
    try:
        return _Unpickler(*_extract(data)).load()
    except (pickle.UnpicklingError, AttributeError, EOFError, LookupError, TypeError, ValueError, Warning) as error:
        raise BadPickle(f"is broken ({printable(str(error))})") from None


class _Dictionary(dict[object, object]):
    __slots__ = ()

    def __setitem__(self, key: object, value: object) -> None:
        if not isinstance(key, bytes | str):  # hashing deeply nested tuples would end the process
            raise BadPickle("has a dictionary key that is not a string")
        super().__setitem__(key, value)


class _StandIn(Enum):
    """What the names in a batch become: module and name, as numpy 1 has them."""

    RECONSTRUCT = ("numpy.core.multiarray", "_reconstruct")
    FROMBUFFER = ("numpy.core.numeric", "_frombuffer")
    NDARRAY = ("numpy", "ndarray")
    DTYPE = ("numpy", "dtype")
    ENCODE = ("_codecs", "encode")
    UINT8 = "the result of calling DTYPE"

    def __call__(self, *arguments: object) -> object:
        match self, arguments:
            case _StandIn.ENCODE, (str() as text, "latin1"):
                return text.encode("latin-1")
            case _StandIn.ENCODE, (bytes() as pixels, "latin1"):  # a large string
                return pixels
            case _StandIn.DTYPE, ("u1" | b"u1" | "|u1" | b"|u1", *_):
                return _StandIn.UINT8
            case _StandIn.DTYPE, (str() | bytes() as code, *_):
                code = code if isinstance(code, str) else str(code, "latin-1")
                raise BadPickle(f"has numbers of type '{printable(code)}' for pixels instead of bytes (u1)")
            case _StandIn.RECONSTRUCT, (_StandIn.NDARRAY, (0,), b"b" | "b"):
                return PickledArray()
            case _StandIn.FROMBUFFER, (data, _StandIn.UINT8, shape, "C" | b"C"):
                return PickledArray(shape, data)
        raise BadPickle("is broken: it makes something other than an array of pixels")

    def __setstate__(self, state: object) -> None:
        if self is not _StandIn.UINT8 or not isinstance(state, tuple):  # alignment and byte order, which bytes lack
            raise BadPickle("is broken: it changes something other than an array of pixels")


@dataclass(slots=True)
class PickledArray:
    """A numpy array of uint8 in C order.  ``shape`` and ``data`` are as the pickle has them, unchecked."""

    shape: object = None
    data: object = None

    def __setstate__(self, state: object) -> None:
        match state:
            case (_, shape, _StandIn.UINT8, False, data):
                self.shape, self.data = shape, data
            case (_, _, _StandIn.UINT8, True, _):
                raise BadPickle("has an array that is stored column by column, which a CIFAR batch is not")
            case _:
                raise BadPickle("is broken: it changes something other than an array of pixels")

    def rows(self, row_bytes: int) -> NDArray[np.uint8]:
        """The array as ``(n, row_bytes)`` uint8, a view of the file.  Raises BadPickle if it is not of that shape."""
        match self.shape, self.data:
            case (int() as count, int() as width), bytes() | memoryview() as data if width == row_bytes:
                if len(data) != count * width:
                    raise BadPickle(f"has {len(data):,} bytes of pixels, which its shape contradicts")
                return np.frombuffer(data, np.uint8).reshape(-1, row_bytes)
        raise BadPickle(f"is not a CIFAR batch (its pixels are not of shape (N, {row_bytes}))")


class _Unpickler(pickle.Unpickler):
    """Runs a program of ``_extract``, which refers to large strings by their number."""

    def __init__(self, program: bytes, strings: list[bytes | memoryview]) -> None:
        super().__init__(io.BytesIO(program), encoding="bytes")
        self._strings = strings

    def find_class(self, module: str, name: str) -> object:
        try:
            return _StandIn((module.replace("numpy._core.", "numpy.core."), name))
        except ValueError:
            wanted = printable(f"{module}.{name}")
            raise BadPickle(f"asks for {wanted}, which no CIFAR batch needs; do not trust this file") from None

    def persistent_load(self, number: int | None) -> object:
        return _Dictionary() if number is None else self._strings[number]


def _extract(data: bytes) -> tuple[bytes, list[bytes | memoryview]]:
    """A program without large strings and dictionaries, and these strings.  Raises BadPickle or ValueError."""
    program, strings = bytearray(), list[bytes | memoryview]()
    position, previous = 0, ""
    limit, most = MIN_INSTRUCTIONS + len(data) // BYTES_PER_INSTRUCTION, MIN_BYTES + len(data) // BYTES_PER_BYTE
    for number in range(limit):
        if position >= len(data):
            raise BadPickle(f"is truncated: it ends after {position:,} bytes in the middle of a pickle")
        name, size = _INSTRUCTIONS.get(data[position], ("", 0))
        if not name and position == 0:
            raise BadPickle("is not a CIFAR batch (no pickle begins like this)")
        if not name:
            code = f"0x{data[position]:02x} at byte {position:,}"
            raise BadPickle(f"has pickle instruction {code}, which no CIFAR batch needs")
        start = position + 1 + _LENGTH_BYTES.get(size, 0)
        if size == pickletools.UP_TO_NEWLINE:
            end = _end_of_line(data, start, name)
        elif size < 0:
            end = start + int.from_bytes(data[position + 1 : start], "little")
        else:
            end = start + size
        if end > len(data):
            raise BadPickle(f"is truncated: at byte {start:,} it lacks {end - len(data):,} bytes")
        if name == "EMPTY_DICT":
            program += _NEW_DICTIONARY
        elif name == "DICT":
            if previous != "MARK":
                raise ValueError("a dictionary that does not begin empty")
            program[-1:] = _NEW_DICTIONARY
        elif end - start >= LARGE:
            program += b"J%bQ" % len(strings).to_bytes(4, "little")
            strings.append(_large_string(name, memoryview(data)[start:end]))
        elif name != "FRAME":
            program += data[position:end]
            if len(program) > most:
                raise BadPickle(f"has more than {most:,} bytes that are no pixels")
        if name == "STOP":
            return bytes(program), strings
        if name in ("PUT", "LONG_BINPUT"):
            index = int(data[start:end]) if name == "PUT" else int.from_bytes(data[start:end], "little")
            if index > number:  # the memo is an array
                raise ValueError("a memo index without values before it")
        position, previous = end, name
    raise BadPickle(f"has more than the {limit:,} pickle instructions that a CIFAR batch of its size can have")


def _end_of_line(data: bytes, start: int, name: str) -> int:
    """The end of a text argument with its newline, or of both of GLOBAL."""
    end = data.find(b"\n", start) + 1
    if name == "GLOBAL" and end:
        end = data.find(b"\n", end) + 1
    if not end:
        raise BadPickle(f"is truncated: the line at byte {start:,} has no end")
    if end - start > MAX_LINE and name not in ("STRING", "UNICODE"):
        raise BadPickle(f"is broken: it has a number or a name of {end - start - 1:,} characters")
    return end


def _large_string(name: str, argument: memoryview) -> bytes | memoryview:
    """The bytes of a string, also of a text: in protocols 0 to 2, Python 3 writes bytes as text."""
    if name == "STRING":
        if bytes(argument[:1]) not in (b"'", b'"') or argument[:1] != argument[-2:-1]:
            raise ValueError("a string without quotes")
        return codecs.escape_decode(argument[1:-2])[0]
    if "UNICODE" not in name:
        return argument
    encoding, text = ("raw-unicode-escape", argument[:-1]) if name == "UNICODE" else ("utf-8", argument)
    # In pieces, as a string may take four times the memory of its bytes.
    pieces = (bytes(text[start : start + (1 << 20)]) for start in range(0, len(text), 1 << 20))
    return b"".join(piece.encode("latin-1") for piece in codecs.iterdecode(pieces, encoding))
