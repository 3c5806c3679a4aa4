"""Reads a pickle of plain values and uint8 arrays without running anything that it asks for.

A pickle is a program.  This is an interpreter of the few instructions that CIFAR batches consist of; the globals that
they name become inert marks (``pickled_array``), and numpy is never called by the stream.  Everything else is refused.
The instructions are those that ``pickletools`` in the standard library describes, protocols 0 to 5.
"""

from __future__ import annotations

import codecs
import re
from typing import TYPE_CHECKING, NoReturn

from backends.datasets.pickled_array import GLOBALS, Global, Refused, Text, construct, printable, set_state

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

BYTES_AN_INSTRUCTION = 128
"""An image has 3,072 bytes and in no protocol more than 20 instructions, so a batch is never denser than this."""

INSTRUCTIONS = 4096
"""Instructions that even the smallest file may have."""

MARKS = 64
KEYS = 64
LINE = 256
"""Characters of a number or a name in the text instructions."""

LARGE = 4096
"""Bytes from which on a string stays a view of the file."""


def unpickle(data: bytes) -> object:
    """The value of a pickle: dict, list, tuple, int, bool, None, bytes, str, memoryview (a large string) or ``Array``.

    Python 2 strings stay bytes.  Arrays and large strings are views of ``data``.

    Raises
    ------
    Refused
        Not a pickle, truncated, or it asks for anything else.
    """
    try:
        return _Machine(data).run()
    except (IndexError, KeyError):  # of the stack, of the memo
        raise Refused("is broken: an instruction needs a value that is not there") from None


class _Machine:
    __slots__ = ("at", "data", "encoded", "limit", "marks", "memo", "stack")

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.limit = INSTRUCTIONS + len(data) // BYTES_AN_INSTRUCTION
        self.at = 0
        self.encoded = 0
        self.stack: list[object] = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def run(self) -> object:
        data, end, steps, at = self.data, len(self.data), _STEPS, 0
        for _ in range(self.limit):
            if self.at >= end:
                raise Refused(f"is truncated: it ends after {end:,} bytes in the middle of a pickle")
            at = self.at
            code = data[at]
            if code == _STOP:
                return self.stack.pop()
            self.at = at + 1
            step = steps.get(code)
            if step is None:
                self.refuse_instruction(code, at)
            step(self)
        raise Refused(f"has more than the {self.limit:,} pickle instructions that a CIFAR batch of its size can have")

    def refuse_instruction(self, code: int, at: int) -> NoReturn:
        if at == 0:
            raise Refused("is not a CIFAR batch (no pickle begins like this)")
        name = _CALLS.get(code, f"0x{code:02x}")
        raise Refused(f"has the pickle instruction {name} at byte {at:,}, which a CIFAR batch has no need of")

    # What follows an instruction

    def take(self, size: int) -> bytes | memoryview:
        start, end = self.at, self.at + size
        if end > len(self.data):
            left = len(self.data) - start
            raise Refused(f"is truncated: at byte {start:,} it promises {size:,} bytes and has {left:,}")
        self.at = end
        return self.data[start:end] if size < LARGE else memoryview(self.data)[start:end]

    def number(self, width: int, signed: bool = False) -> int:
        return int.from_bytes(self.take(width), "little", signed=signed)

    def line(self) -> bytes | memoryview:
        end = self.data.find(b"\n", self.at)
        if end < 0:
            raise Refused(f"is truncated: a line at byte {self.at:,} has no end")
        text = self.take(end - self.at)
        self.at = end + 1
        return text

    def short_line(self) -> str:
        text = self.line()
        if len(text) > LINE:
            raise Refused(f"is broken: a name or number of {len(text):,} characters")
        return str(text, "latin-1")

    def integer(self, text: str) -> int:
        try:
            return int(text)
        except ValueError:
            raise Refused(f"is broken: the number that ends at byte {self.at:,} is none") from None

    # Values

    def push_int_line(self) -> None:
        text = self.short_line().removesuffix("L")
        self.stack.append(text == "01" if text in ("00", "01") else self.integer(text))

    def push_bytes(self, width: int) -> None:
        self.stack.append(self.take(self.number(width)))

    def push_bytes_line(self) -> None:
        text = self.line()
        if len(text) < 2 or text[0] != text[-1] or text[0] not in b"'\"" or not _ESCAPED.fullmatch(text[1:-1]):
            raise Refused("is broken: a string without its quotes")
        self.stack.append(codecs.escape_decode(text[1:-1])[0])

    def push_text(self, data: bytes | memoryview, encoding: str) -> None:
        if isinstance(data, memoryview):
            self.stack.append(Text(data, encoding))
            return
        try:
            self.stack.append(data.decode(encoding))
        except UnicodeDecodeError:
            raise Refused(f"is broken: a text at byte {self.at:,} is not {encoding}") from None

    # Containers

    def above_mark(self) -> list[object]:
        if not self.marks:
            raise Refused("is broken: an instruction finds no mark before it")
        start = self.marks.pop()
        items = self.stack[start:]
        del self.stack[start:]
        return items

    def mark(self) -> None:
        if len(self.marks) == MARKS:
            raise Refused(f"is nested more than {MARKS} deep, which a CIFAR batch is not")
        self.marks.append(len(self.stack))

    def pop(self, count: int) -> tuple[object, ...]:
        """The last values, in the order in which they came."""
        return tuple([self.stack.pop() for _ in range(count)][::-1])

    def extend(self, items: Sequence[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, list):
            raise Refused("is broken: items are appended to what is not a list")
        target.extend(items)

    def update(self, items: Sequence[object]) -> None:
        target = self.stack[-1]
        if not isinstance(target, dict) or len(items) % 2:
            raise Refused("is broken: items are set in what is not a dictionary")
        for key, value in zip(items[::2], items[1::2], strict=True):
            if not isinstance(key, bytes | str):
                raise Refused("has a dictionary key that is not a string")
            target[key] = value
        if len(target) > KEYS:
            raise Refused(f"has a dictionary of more than {KEYS} keys, which a CIFAR batch has not")

    def push_dict(self) -> None:
        items = self.above_mark()
        self.stack.append({})
        self.update(items)

    # Memo

    def put(self, index: int) -> None:
        if not 0 <= index <= self.limit:
            raise Refused(f"has a memo index of {index:,}, which a CIFAR batch of its size can not have")
        self.memo[index] = self.stack[-1]

    # Globals, and what is made of them

    def push_global(self, module: object, name: object) -> None:
        if not isinstance(module, str) or not isinstance(name, str):
            raise Refused("is broken: it asks for something without a name")
        known = GLOBALS.get((module, name))
        if known is None:
            wanted = printable(f"{module}.{name}")
            raise Refused(f"asks for {wanted}, which a CIFAR batch has no need of; do not trust this file")
        self.stack.append(known)

    def reduce(self) -> None:
        function, arguments = self.pop(2)
        match function, arguments:
            case Global.ENCODE, (str() | Text() as text, "latin1"):
                self.stack.append(self.encode(text))
            case _:
                self.stack.append(construct(function, arguments))

    def encode(self, text: str | Text) -> bytes:
        self.encoded += len(text) if isinstance(text, str) else len(text.data)
        if self.encoded > len(self.data):
            raise Refused("makes more bytes than it has, which a CIFAR batch does not")
        try:
            return text.encode("latin-1") if isinstance(text, str) else text.to_latin1()
        except UnicodeError:
            raise Refused("is broken: a text that stands for bytes has other characters") from None


# The inside of what Python 2's repr makes of a string.  Possessive, so that no hostile line makes it slow.
_ESCAPED = re.compile(rb"(?:[^\\]++|\\(?:[\\'\"nrt]|x[0-9a-f]{2}))*+", re.DOTALL)

_STOP = ord(".")

_STEPS: dict[int, Callable[[_Machine], object]] = {
    0x80: lambda m: m.take(1),  # PROTO
    0x95: lambda m: m.take(8),  # FRAME
    ord("N"): lambda m: m.stack.append(None),  # NONE
    0x88: lambda m: m.stack.append(True),  # NEWTRUE
    0x89: lambda m: m.stack.append(False),  # NEWFALSE
    ord("K"): lambda m: m.stack.append(m.number(1)),  # BININT1
    ord("M"): lambda m: m.stack.append(m.number(2)),  # BININT2
    ord("J"): lambda m: m.stack.append(m.number(4, signed=True)),  # BININT
    ord("I"): _Machine.push_int_line,  # INT
    ord("L"): _Machine.push_int_line,  # LONG
    0x8A: lambda m: m.stack.append(m.number(m.number(1), signed=True)),  # LONG1
    ord("U"): lambda m: m.push_bytes(1),  # SHORT_BINSTRING
    ord("T"): lambda m: m.push_bytes(4),  # BINSTRING
    ord("C"): lambda m: m.push_bytes(1),  # SHORT_BINBYTES
    ord("B"): lambda m: m.push_bytes(4),  # BINBYTES
    0x8E: lambda m: m.push_bytes(8),  # BINBYTES8
    0x96: lambda m: m.push_bytes(8),  # BYTEARRAY8
    ord("S"): _Machine.push_bytes_line,  # STRING
    0x8C: lambda m: m.push_text(m.take(m.number(1)), "utf-8"),  # SHORT_BINUNICODE
    ord("X"): lambda m: m.push_text(m.take(m.number(4)), "utf-8"),  # BINUNICODE
    0x8D: lambda m: m.push_text(m.take(m.number(8)), "utf-8"),  # BINUNICODE8
    ord("V"): lambda m: m.push_text(m.line(), "raw-unicode-escape"),  # UNICODE
    ord("("): _Machine.mark,  # MARK
    ord(")"): lambda m: m.stack.append(()),  # EMPTY_TUPLE
    0x85: lambda m: m.stack.append(m.pop(1)),  # TUPLE1
    0x86: lambda m: m.stack.append(m.pop(2)),  # TUPLE2
    0x87: lambda m: m.stack.append(m.pop(3)),  # TUPLE3
    ord("t"): lambda m: m.stack.append(tuple(m.above_mark())),  # TUPLE
    ord("]"): lambda m: m.stack.append([]),  # EMPTY_LIST
    ord("l"): lambda m: m.stack.append(m.above_mark()),  # LIST
    ord("a"): lambda m: m.extend(m.pop(1)),  # APPEND
    ord("e"): lambda m: m.extend(m.above_mark()),  # APPENDS
    ord("}"): lambda m: m.stack.append({}),  # EMPTY_DICT
    ord("d"): _Machine.push_dict,  # DICT
    ord("s"): lambda m: m.update(m.pop(2)),  # SETITEM
    ord("u"): lambda m: m.update(m.above_mark()),  # SETITEMS
    ord("q"): lambda m: m.put(m.number(1)),  # BINPUT
    ord("r"): lambda m: m.put(m.number(4)),  # LONG_BINPUT
    ord("p"): lambda m: m.put(m.integer(m.short_line())),  # PUT
    0x94: lambda m: m.put(len(m.memo)),  # MEMOIZE
    ord("h"): lambda m: m.stack.append(m.memo[m.number(1)]),  # BINGET
    ord("j"): lambda m: m.stack.append(m.memo[m.number(4)]),  # LONG_BINGET
    ord("g"): lambda m: m.stack.append(m.memo[m.integer(m.short_line())]),  # GET
    ord("c"): lambda m: m.push_global(m.short_line(), m.short_line()),  # GLOBAL
    0x93: lambda m: m.push_global(*m.pop(2)),  # STACK_GLOBAL
    ord("R"): _Machine.reduce,  # REDUCE
    ord("b"): lambda m: set_state(m.stack[-2], m.stack.pop()),  # BUILD
}

# Of the instructions that are missing above, those that run something; the others are only of no use.
_CALLS = {0x50: "PERSID", 0x51: "BINPERSID", 0x69: "INST", 0x6F: "OBJ", 0x81: "NEWOBJ", 0x82: "EXT1", 0x92: "NEWOBJ_EX"}
