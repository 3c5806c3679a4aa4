"""Files in a zip or tar archive, the latter also gzipped or compressed by bzip2 or xz.

Plain and gzipped ones are read in place; bzip2 and xz have no state to go back to, so that their archives are unpacked
once, to an unnamed temporary file.
"""

from __future__ import annotations

import bz2
import errno
import lzma
import os
import struct
import tempfile
import zipfile
import zlib
from abc import ABC, abstractmethod
from bisect import bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from backends import limits
from backends.datasets.regular_file import kind_of, open_regular, printable, reading, unpacking
from backends.errors import DatasetDamaged, DatasetNotFound, NoSpace, PictureDamaged

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
BLOCK = 512
CHUNK = 1 << 18
GZIP_CHUNK = 1 << 13
"""Compressed bytes given to the decoder at a time: it copies the rest of them at the end of each gzip member."""

BETWEEN_BOOKMARKS = 256 << 10
MOST_BOOKMARKS = 1000
"""Each takes 40 KB; where there are more, every second one is dropped, and they are twice as far apart."""

MAX_TRAILER = 16 << 20
"""Padding that may follow the end of an archive."""


def is_archive(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (512 bytes) may be a tar archive, compressed or not."""
    return head.startswith((GZIP, BZIP2, XZ)) or _header(head) is not None


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in an archive."""

    name: str  # with its folders, which are relative and have no ``..``; undecodable bytes become surrogates
    start: int  # its first byte in the stream
    size: int


def members_of(stream: Stream, inside: str = "", end: int | None = None) -> Iterator[Member]:
    """The regular files of an archive, the stream at the content of each; those of a ``.tar`` in it are in a folder.

    Long names are those of GNU tar and pax.  Raises DatasetDamaged where the archive is truncated or broken, or its
    headers are too long.
    """
    long_name, long_size = "", None
    while end is None or stream.position < end:
        at = stream.position
        head = stream.read_exactly(BLOCK)
        if not any(head):
            return
        found = _header(head)
        if found is None and at == 0 and head[257:262] != b"ustar":
            raise stream.no_archive(kind_of(head) or "data of an unknown kind")
        if found is None:
            raise stream.damaged(f"is broken: no tar header at byte {at:,}")
        name, kind, size = found
        start = stream.position
        if kind in b"Lx":
            if size > limits.HEADER_BYTES.value:
                raise stream.exceeds("a header in it has", limits.HEADER_BYTES)
            content = stream.read_exactly(size)
            fields = _pax_fields(content) if kind == b"x" else {"path": os.fsdecode(content.rstrip(b"\0"))}
            long_name = fields.get("path", long_name)
            long_size = int(fields["size"]) if "size" in fields else long_size
        else:
            name, regular = long_name or name, kind in b"0\0007"
            size = 0 if kind in b"123456" else long_size if regular and long_size is not None else size
            long_name, long_size = "", None
            if "/." in f"/{name}" or "//" in f"/{name}":
                parts = [part for part in name.split("/") if part not in ("", ".")]
                regular, name = regular and ".." not in parts, "/".join(parts)
            if regular and name.endswith(".tar") and not inside:
                yield from members_of(stream, f"{name.removesuffix('.tar')}/", start + size)
            elif regular:
                yield Member(inside + name, start, size)
        stream.skip_to(start + -(-size // BLOCK) * BLOCK)


def _header(block: bytes) -> tuple[str, bytes, int] | None:
    """Name, kind and size in a header (POSIX.1-1988, with GNU's large sizes); None where it is none."""
    try:
        if len(block) < BLOCK or _number(block[148:156]) != 256 + sum(block[:148]) + sum(block[156:]):
            return None
        size = _number(block[124:136])
    except ValueError:
        return None
    name, _, _ = block[:100].partition(b"\0")
    prefix, _, _ = block[345:500].partition(b"\0")
    path = prefix + b"/" + name if prefix and block[257:263] == b"ustar\0" else name
    return (path.decode("utf-8", "surrogateescape"), block[156:157], size) if size >= 0 else None


def _number(field: bytes) -> int:
    """An octal number, or a binary one after a byte of 128.  Raises ValueError."""
    if field[0] in (0x80, 0xFF):
        return int.from_bytes(field[1:], "big", signed=field[0] == 0xFF)
    return int(field.partition(b"\0")[0].strip() or b"0", 8)


def _pax_fields(content: bytes) -> dict[str, str]:
    """The records of a pax header, each ``length key=value``."""
    fields = {}
    while content:
        length, _, rest = content.partition(b" ")
        if not length.isdigit() or not len(length) < int(length) <= len(content):
            break
        key, _, value = rest[: int(length) - len(length) - 2].partition(b"=")
        fields[key.decode("utf-8", "replace")] = value.decode("utf-8", "surrogateescape")
        content = content[int(length) :]
    return fields if fields.get("size", "0").isdigit() else {}


class Stream:
    """The bytes of a file, or those that a compressed file holds, read forwards, with bookmarks to go back to."""

    def __init__(self, path: Path) -> None:
        self._path, self._file = path, open_regular(path)
        magic = self._read_file(6)
        self._file.seek(0)
        self._decoder = zlib.decompressobj(wbits=31) if magic.startswith(GZIP) else None
        if magic.startswith((BZIP2, XZ)):
            self._file = self._unpacked(bz2.BZ2File if magic.startswith(BZIP2) else lzma.LZMAFile)
        self._pending = b""
        self.position = 0

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer only at the end.  Raises DatasetDamaged for broken gzip data."""
        data = self._read_file(size) if self._decoder is None else b"".join(self._pieces(size))
        self.position += len(data)
        return data

    def read_exactly(self, size: int) -> bytes:
        data = self.read(size)
        if len(data) < size:
            raise self.damaged("is truncated: it ends in the middle of a file")
        return data

    @property
    def in_place(self) -> bool:
        """Whether any byte can be read at once."""
        return self._decoder is None

    def read_at(self, start: int, size: int) -> bytes:
        """Bytes of a stream that is ``in_place``, from any thread; the position stays."""
        with reading(self._path):
            return os.pread(self._file.fileno(), size, start)

    def skip_to(self, end: int) -> None:
        if self._decoder is None:
            self._file.seek(end)
            self.position = end
        while self.position < end and self.read(min(end - self.position, CHUNK)):
            pass

    def bookmark(self) -> Callable[[], None]:
        """A function that goes back to here, as often as it is called; it keeps 40 KB for a gzip file."""
        position, file_position = self.position, self._file.tell() - len(self._pending)
        decoder = self._decoder and self._decoder.copy()

        def go_back() -> None:
            self._file.seek(file_position)
            self._decoder, self._pending, self.position = decoder and decoder.copy(), b"", position

        return go_back

    def no_archive(self, content: str) -> DatasetNotFound:
        return DatasetNotFound(f"{self._path} is {content}, not an archive: name an archive of pictures, or of CIFAR.")

    def damaged(self, reason: str) -> DatasetDamaged:
        return DatasetDamaged(f"{self._path} {reason}: get the archive again.")

    def exceeds(self, what: str, limit: limits.Limit) -> DatasetDamaged:
        return _beyond(self._path, what, limit)

    def close(self) -> None:
        self._file.close()

    def _unpacked(self, opener: type[bz2.BZ2File | lzma.LZMAFile]) -> BinaryIO:
        """A temporary file of what a bzip2 or xz file holds."""
        with unpacking(self._path), self._file, opener(self._file) as packed:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed as the file of the stream
            try:
                while data := packed.read(CHUNK):
                    if file.tell() + len(data) > limits.UNPACKED_BYTES.value:
                        raise self.exceeds("it unpacks to", limits.UNPACKED_BYTES)
                    file.write(data)
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    room = f"unpacking it needs more room than {tempfile.gettempdir()} has"
                    raise NoSpace(f"{self._path} was not opened: {room}; set TMPDIR, or unpack it yourself.") from None
                raise
        file.seek(0)
        return file

    def _read_file(self, size: int) -> bytes:
        with reading(self._path):
            return self._file.read(size)

    def _pieces(self, size: int) -> Iterator[bytes]:
        """What the next compressed bytes unpack to, ``size`` bytes or up to the end."""
        while size and self._decoder is not None:
            if self._decoder.eof:  # a gzip file may be several in a row
                self._pending = self._decoder.unused_data or self._read_file(GZIP_CHUNK)
                if not self._pending.startswith(GZIP):
                    return
                self._decoder = zlib.decompressobj(wbits=31)
            self._pending = self._pending or self._read_file(GZIP_CHUNK)
            if not self._pending:
                raise self.damaged("is truncated: its gzip data end too early")
            try:
                piece = self._decoder.decompress(self._pending, size)
            except zlib.error:
                raise self.damaged("is broken: its gzip data do not decompress") from None
            self._pending = self._decoder.unconsumed_tail
            size -= len(piece)
            yield piece


def _beyond(path: Path, what: str, limit: limits.Limit) -> DatasetDamaged:
    return DatasetDamaged(f"{path} was not opened: {what} {limit.exceeded()}.")


class Archive(ABC):
    """An open archive."""

    threads = 2

    def __init__(self, path: Path) -> None:
        self._path = path

    def members(self) -> Iterator[Member]:
        """Its regular files; what ``read`` takes as their start need not be a position.

        Raises DatasetDamaged where it is broken, has too many of them or too long a name.
        """
        most, longest = limits.MEMBERS.value, limits.NAME_BYTES.value
        for number, member in enumerate(self._members()):
            if number >= most:
                raise _beyond(self._path, "it has", limits.MEMBERS)
            if len(member.name) > longest:
                raise _beyond(self._path, f"the name {printable(member.name)}... has", limits.NAME_BYTES)
            yield member

    @abstractmethod
    def _members(self) -> Iterator[Member]: ...

    @abstractmethod
    def read(self, start: int, size: int) -> bytes:
        """The content of a member.  Raises DatasetDamaged, PictureDamaged where it cannot be read."""

    @abstractmethod
    def close(self) -> None:
        """Close it.  May be called twice."""


class Tar(Archive):
    """A tar archive.  In a gzipped one, reading goes on from the last bookmark before a member."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._stream = Stream(path)
        self._marks, self._back = [0], [self._stream.bookmark()]
        self._spacing = BETWEEN_BOOKMARKS
        if not self._stream.in_place:
            self.threads = 1

    def _members(self) -> Iterator[Member]:
        for member in members_of(self._stream):
            if not self._stream.in_place and member.start - self._marks[-1] >= self._spacing:
                self._marks.append(member.start)
                self._back.append(self._stream.bookmark())
                if len(self._marks) > MOST_BOOKMARKS:
                    self._marks, self._back, self._spacing = self._marks[::2], self._back[::2], 2 * self._spacing
            yield member
        if not self._stream.in_place and len(self._stream.read(MAX_TRAILER + 1)) > MAX_TRAILER:  # compares a checksum
            raise self._stream.damaged("has more data behind its end")

    def read(self, start: int, size: int) -> bytes:
        if self._stream.in_place:
            return self._stream.read_at(start, size)
        mark = bisect_right(self._marks, start) - 1
        if not self._marks[mark] <= self._stream.position <= start:
            self._back[mark]()
        self._stream.skip_to(start)
        return self._stream.read_exactly(size)

    def close(self) -> None:
        self._stream.close()


class Zip(Archive):
    """A zip archive of stored and deflated files."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self._file = open_regular(path)
        self._packed: dict[int, tuple[int, int]] = {}  # compressed size and CRC by the position of the local header

    def _members(self) -> Iterator[Member]:
        with unpacking(self._path):
            infos = zipfile.ZipFile(self._file).infolist()
        for info in infos:
            if not info.is_dir() and not info.flag_bits & 1 and info.compress_type in (0, 8):
                self._packed[info.header_offset] = info.compress_size, info.CRC
                parts = [part for part in info.filename.split("/") if part not in ("", ".", "..")]
                yield Member("/".join(parts), info.header_offset, info.file_size)

    def read(self, start: int, size: int) -> bytes:
        packed, crc = self._packed[start]
        with reading(self._path):
            head = os.pread(self._file.fileno(), 30, start)
            if len(head) < 30 or not head.startswith(b"PK\3\4"):
                raise PictureDamaged("its header in the zip archive is broken")
            method, name, extra = struct.unpack_from("<H16xHH", head, 8)
            data = os.pread(self._file.fileno(), packed, start + 30 + name + extra)
        try:
            data = zlib.decompressobj(-15).decompress(data, size + 1) if method == 8 else data
        except zlib.error:
            raise PictureDamaged("it does not decompress") from None
        if len(data) != size or zlib.crc32(data) != crc:
            raise PictureDamaged("its bytes in the zip archive are not those that were put there")
        return data

    def close(self) -> None:
        self._file.close()


def open_archive(path: Path) -> Archive:
    """Open a zip or tar archive."""
    with open_regular(path) as file, reading(path):
        is_zip = file.read(2) == b"PK"
    return Zip(path) if is_zip else Tar(path)
