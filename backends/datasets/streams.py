"""Bytes that are read forwards, with bookmarks to come back to: a file as it is, or what a gzip file holds."""

from __future__ import annotations

import zlib
from typing import TYPE_CHECKING, BinaryIO

if TYPE_CHECKING:
    from collections.abc import Callable

CHUNK = 1 << 18

GZIP = b"\x1f\x8b"


class Broken(Exception):
    """Why a stream cannot be read on, as the end of a sentence that begins with the file's name."""


class PlainStream:
    """The bytes of a file as they are.  Reading raises Broken where they are not what they should be, and OSError."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes; fewer only at the end."""
        return self._file.read(size)

    def skip(self, size: int) -> None:
        """Go forward; behind the end nothing is left to read."""
        self._file.seek(size, 1)

    def bookmark(self) -> Callable[[], object]:
        """A function that goes back to here, as often as it is called."""
        position = self._file.tell()
        return lambda: self._file.seek(position)


class GzipStream:
    """As ``PlainStream``, of what a gzip file holds.

    A bookmark keeps the state of the decoder (40 KB), so coming back costs nothing.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = zlib.decompressobj(wbits=31)
        self._pending = b""

    def read(self, size: int) -> bytes:
        pieces: list[bytes] = []
        while size and self._refill():
            try:
                piece = self._decoder.decompress(self._pending, size)
            except zlib.error:
                raise Broken("is broken: its gzip data do not decompress") from None
            self._pending = self._decoder.unconsumed_tail
            size -= len(piece)
            pieces.append(piece)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def skip(self, size: int) -> None:
        while size and (piece := self.read(min(size, CHUNK))):
            size -= len(piece)

    def bookmark(self) -> Callable[[], object]:
        position, decoder = self._file.tell() - len(self._pending), self._decoder.copy()

        def go_back() -> None:
            self._file.seek(position)
            self._decoder, self._pending = decoder.copy(), b""

        return go_back

    def _refill(self) -> bool:
        """Have compressed bytes at hand; False at the end.  A gzip file may be several, one behind the other."""
        if self._decoder.eof:
            self._pending = self._decoder.unused_data or self._file.read(CHUNK)
            if not self._pending.startswith(GZIP):
                return False
            self._decoder = zlib.decompressobj(wbits=31)
        if not self._pending:
            self._pending = self._file.read(CHUNK)
            if not self._pending:
                raise Broken("is truncated: its gzip data end too early")
        return True
