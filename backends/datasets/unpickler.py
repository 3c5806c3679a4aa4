"""Unpickles CIFAR batches from strangers: runs no code, and needs memory of a few times the file's size at most.

A pickle is a program, and the standard library's unpickler runs whatever it asks for.  This is an interpreter of the
few instructions that CIFAR batches consist of, in protocols 0 to 5 as Python 2 and 3 with numpy 1 and 2 write them
(``pickletools`` describes them).  The functions of numpy that a batch names are inert stand-ins here; every other name
and every other instruction is refused.
"""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from enum import Enum
from typing import TYPE_CHECKING

import numpy as np

from backends.datasets.regular_file import printable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

MIN_INSTRUCTIONS = 4096
BYTES_PER_INSTRUCTION = 128
"""A pickle may have one instruction for so many of its bytes, and ``MIN_INSTRUCTIONS`` more; a batch has at most 20 for
an image of 3,072 bytes.  This bounds the memory: an instruction makes at most 1,100 bytes, or four times its own."""

LARGE = 1024
"""Strings of so many bytes are pixels, which are kept as bytes, if possible as a view of the file."""

MAX_LINE = 256
"""Characters of a number or a name in the text instructions."""


class BadPickle(Exception):
    """Why a pickle is refused, as the end of a sentence that begins with the file's name."""


class StandIn(Enum):
    """What the names in a batch become: module and name, as numpy 1 has them."""

    RECONSTRUCT = ("numpy.core.multiarray", "_reconstruct")
    FROMBUFFER = ("numpy.core.numeric", "_frombuffer")
    NDARRAY = ("numpy", "ndarray")
    DTYPE = ("numpy", "dtype")
    ENCODE = ("_codecs", "encode")
    UINT8 = "the result of calling DTYPE"


@dataclass(slots=True)
class PickledArray:
    """A numpy array of uint8 in C order.  ``shape`` and ``data`` are as the pickle has them, unchecked."""

    shape: object = None
    data: object = None

    def rows(self, row_bytes: int) -> NDArray[np.uint8]:
        """The array as ``(n, row_bytes)`` uint8, a view of the file.

        Raises
        ------
        BadPickle
            It has another shape, or not as many bytes as its shape says.
        """
        match self.shape, self.data:
            case (int() as count, int() as width), bytes() | memoryview() as data if width == row_bytes:
                if len(data) != count * width:
                    raise BadPickle(f"has {len(data):,} bytes of pixels, which its shape contradicts")
                return np.frombuffer(data, np.uint8).reshape(-1, row_bytes)
        raise BadPickle(f"is not a CIFAR batch (its pixels are not of shape (N, {row_bytes}))")


def unpickle(data: bytes) -> object:
    """The value of a pickle: dict, list, tuple, int, bool, None, bytes, str, memoryview (of ``data``) or PickledArray.

    Strings of Python 2 are bytes.

    Raises
    ------
    BadPickle
        It is not a pickle, is truncated or broken, or has anything that a CIFAR batch does not need.
    """
    machine = _Machine(data)
    try:
        return machine.run()
    except (IndexError, KeyError, ValueError):  # the stack or memo lacks a value, a number or a text is malformed
        raise BadPickle(f"is broken near byte {machine.position:,}") from None


class _Machine:
    """The state of the interpreter: values are built on a stack, and kept in a memo to be used again."""

    __slots__ = ("data", "marks", "memo", "position", "stack")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        data, instructions = self.data, _INSTRUCTIONS
        limit = MIN_INSTRUCTIONS + len(data) // BYTES_PER_INSTRUCTION
        for _ in range(limit):
            start = self.position
            if start >= len(data):
                raise BadPickle(f"is truncated: it ends after {start:,} bytes in the middle of a pickle")
            code = data[start]
            if code == _STOP:
                return self.stack.pop()
            self.position = start + 1
            instruction = instructions.get(code)
            if instruction is None and start == 0:
                raise BadPickle("is not a CIFAR batch (no pickle begins like this)")
            if instruction is None:
                raise BadPickle(f"has pickle instruction 0x{code:02x} at byte {start:,}, which no CIFAR batch needs")
            instruction(self)
        raise BadPickle(f"has more than the {limit:,} pickle instructions that a CIFAR batch of its size can have")

    # Arguments of an instruction

    def take(self, size: int) -> bytes | memoryview:
        start, end = self.position, self.position + size
        if end > len(self.data):
            raise BadPickle(f"is truncated: at byte {start:,} it lacks {end - len(self.data):,} bytes")
        self.position = end
        return self.data[start:end] if size < LARGE else memoryview(self.data)[start:end]

    def number(self, width: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(width), "little", signed=signed)

    def line(self) -> bytes | memoryview:
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise BadPickle(f"is truncated: the line at byte {self.position:,} has no end")
        line = self.take(end - self.position)
        self.position = end + 1
        return line

    def word(self) -> str:
        word = self.line()
        if len(word) > MAX_LINE:
            raise BadPickle(f"is broken: it has a number or a name of {len(word):,} characters")
        return str(word, "latin-1")

    # Numbers and strings

    def push_integer(self) -> None:
        word = self.word().removesuffix("L")
        self.stack.append(word == "01" if word in ("00", "01") else int(word))

    def push_quoted(self) -> None:
        line = self.line()
        if not _QUOTED.fullmatch(line):
            raise ValueError
        self.stack.append(codecs.escape_decode(line[1:-1])[0])

    def push_text(self, data: bytes | memoryview, encoding: str) -> None:
        """Push a string, a large one as the bytes for which it stands in protocols 0 to 2 of Python 3."""
        if len(data) < LARGE:
            self.stack.append(str(data, encoding))
            return
        # In pieces, as a string may take four times the memory of its bytes.
        pieces = (bytes(data[start : start + (1 << 20)]) for start in range(0, len(data), 1 << 20))
        self.stack.append(b"".join(text.encode("latin-1") for text in codecs.iterdecode(pieces, encoding)))

    # Containers

    def pop(self, count: int) -> tuple[object, ...]:
        """The last ``count`` values, first in first."""
        return tuple([self.stack.pop() for _ in range(count)][::-1])

    def pop_to_mark(self) -> list[object]:
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def extend(self, items: Sequence[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise ValueError
        target.extend(items)

    def update(self, items: Sequence[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise ValueError
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, bytes | str):  # hashing deeply nested tuples would end the process
                raise BadPickle("has a dictionary key that is not a string")
            target[key] = value

    def push_dict(self) -> None:
        items = self.pop_to_mark()
        self.stack.append({})
        self.update(items)

    # Names, calls and states

    def push_global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise ValueError
        try:
            self.stack.append(StandIn((module.replace("numpy._core.", "numpy.core."), name)))
        except ValueError:
            wanted = printable(f"{module}.{name}")
            raise BadPickle(f"asks for {wanted}, which no CIFAR batch needs; do not trust this file") from None

    def call(self) -> None:
        match self.pop(2):
            case StandIn.ENCODE, (str() as text, "latin1"):
                self.stack.append(text.encode("latin-1"))
            case StandIn.ENCODE, (bytes() as pixels, "latin1"):  # by push_text
                self.stack.append(pixels)
            case StandIn.DTYPE, ("u1" | b"u1" | "|u1" | b"|u1", *_):
                self.stack.append(StandIn.UINT8)
            case StandIn.DTYPE, (str() | bytes() as code, *_):
                code = code if isinstance(code, str) else str(code, "latin-1")
                raise BadPickle(f"has numbers of type '{printable(code)}' for pixels instead of bytes (u1)")
            case StandIn.RECONSTRUCT, (StandIn.NDARRAY, (0,), b"b" | "b"):
                self.stack.append(PickledArray())
            case StandIn.FROMBUFFER, (data, StandIn.UINT8, shape, "C" | b"C"):
                self.stack.append(PickledArray(shape, data))
            case _:
                raise BadPickle("is broken: it makes something other than an array of pixels")

    def set_state(self) -> None:
        match self.stack[-2], self.stack.pop():
            case StandIn.UINT8, tuple():  # alignment and byte order, which bytes do not have
                pass
            case PickledArray() as array, (_, shape, StandIn.UINT8, False, data):
                array.shape, array.data = shape, data
            case PickledArray(), (_, _, StandIn.UINT8, True, _):
                raise BadPickle("has an array that is stored column by column, which a CIFAR batch is not")
            case _:
                raise BadPickle("is broken: it changes something other than an array of pixels")


# A string as Python 2's repr writes it.  Possessive, so that no hostile line makes it slow.
_QUOTED = re.compile(
    rb"""'(?:[^\\']++|\\(?:[\\'nrt]|x[0-9a-f]{2}))*+'|"(?:[^\\"]++|\\(?:[\\nrt]|x[0-9a-f]{2}))*+\"""", re.DOTALL
)

_STOP = ord(".")

_INSTRUCTIONS: dict[int, Callable[[_Machine], object]] = {
    0x80: lambda m: m.take(1),  # PROTO
    0x95: lambda m: m.take(8),  # FRAME
    ord("N"): lambda m: m.stack.append(None),  # NONE
    0x88: lambda m: m.stack.append(True),  # NEWTRUE
    0x89: lambda m: m.stack.append(False),  # NEWFALSE
    ord("K"): lambda m: m.stack.append(m.number(1)),  # BININT1
    ord("M"): lambda m: m.stack.append(m.number(2)),  # BININT2
    ord("J"): lambda m: m.stack.append(m.number(4, signed=True)),  # BININT
    ord("I"): _Machine.push_integer,  # INT
    ord("L"): _Machine.push_integer,  # LONG
    0x8A: lambda m: m.stack.append(m.number(m.number(1), signed=True)),  # LONG1
    ord("U"): lambda m: m.stack.append(m.take(m.number(1))),  # SHORT_BINSTRING
    ord("T"): lambda m: m.stack.append(m.take(m.number(4))),  # BINSTRING
    ord("C"): lambda m: m.stack.append(m.take(m.number(1))),  # SHORT_BINBYTES
    ord("B"): lambda m: m.stack.append(m.take(m.number(4))),  # BINBYTES
    0x8E: lambda m: m.stack.append(m.take(m.number(8))),  # BINBYTES8
    0x96: lambda m: m.stack.append(m.take(m.number(8))),  # BYTEARRAY8
    ord("S"): _Machine.push_quoted,  # STRING
    0x8C: lambda m: m.push_text(m.take(m.number(1)), "utf-8"),  # SHORT_BINUNICODE
    ord("X"): lambda m: m.push_text(m.take(m.number(4)), "utf-8"),  # BINUNICODE
    0x8D: lambda m: m.push_text(m.take(m.number(8)), "utf-8"),  # BINUNICODE8
    ord("V"): lambda m: m.push_text(m.line(), "raw-unicode-escape"),  # UNICODE
    ord("("): lambda m: m.marks.append(len(m.stack)),  # MARK
    ord(")"): lambda m: m.stack.append(()),  # EMPTY_TUPLE
    0x85: lambda m: m.stack.append(m.pop(1)),  # TUPLE1
    0x86: lambda m: m.stack.append(m.pop(2)),  # TUPLE2
    0x87: lambda m: m.stack.append(m.pop(3)),  # TUPLE3
    ord("t"): lambda m: m.stack.append(tuple(m.pop_to_mark())),  # TUPLE
    ord("]"): lambda m: m.stack.append([]),  # EMPTY_LIST
    ord("l"): lambda m: m.stack.append(m.pop_to_mark()),  # LIST
    ord("a"): lambda m: m.extend(m.pop(1)),  # APPEND
    ord("e"): lambda m: m.extend(m.pop_to_mark()),  # APPENDS
    ord("}"): lambda m: m.stack.append({}),  # EMPTY_DICT
    ord("d"): _Machine.push_dict,  # DICT
    ord("s"): lambda m: m.update(m.pop(2)),  # SETITEM
    ord("u"): lambda m: m.update(m.pop_to_mark()),  # SETITEMS
    ord("q"): lambda m: m.memo.update({m.number(1): m.stack[-1]}),  # BINPUT
    ord("r"): lambda m: m.memo.update({m.number(4): m.stack[-1]}),  # LONG_BINPUT
    ord("p"): lambda m: m.memo.update({int(m.word()): m.stack[-1]}),  # PUT
    0x94: lambda m: m.memo.update({len(m.memo): m.stack[-1]}),  # MEMOIZE
    ord("h"): lambda m: m.stack.append(m.memo[m.number(1)]),  # BINGET
    ord("j"): lambda m: m.stack.append(m.memo[m.number(4)]),  # LONG_BINGET
    ord("g"): lambda m: m.stack.append(m.memo[int(m.word())]),  # GET
    ord("c"): lambda m: m.push_global(m.word(), m.word()),  # GLOBAL
    0x93: lambda m: m.push_global(*m.pop(2)),  # STACK_GLOBAL
    ord("R"): _Machine.call,  # REDUCE
    ord("b"): _Machine.set_state,  # BUILD
}
