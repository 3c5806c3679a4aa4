"""Files in a tar archive, plain, gzipped or compressed by bzip2 or xz.

Plain and gzipped ones are read in place; bzip2 and xz have no state to go back to, so that their archives are unpacked
once, to an unnamed temporary file.
"""

from __future__ import annotations

import bz2
import errno
import lzma
import os
import shutil
import tempfile
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO

from backends.datasets.regular_file import FILE_BYTES, kind_of, open_regular, reading
from backends.errors import DatasetDamaged, DatasetNotFound, NoSpace

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

GZIP, BZIP2, XZ = b"\x1f\x8b", b"BZh", b"\xfd7zXZ\0"
BLOCK = 512
CHUNK = 1 << 18

MAX_MEMBERS = 1000
MAX_BYTES = 512 << 20
"""The largest archive that is unpacked; CIFAR-10 and CIFAR-100 together have 371 MB."""

_MOST_HEADER_BYTES = 1 << 20
"""The longest name or pax header that is read."""

MAX_TRAILER = 16 << 20
"""Padding that may follow the end of an archive."""


def is_archive(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (512 bytes) may be a tar archive, compressed or not."""
    return head.startswith((GZIP, BZIP2, XZ)) or _header(head) is not None


class TarFiles:
    """The regular files at the top of an archive or one folder below, by their names without the folder.

    Going back in a gzipped archive costs nothing, as the decoder's state is kept for each file.
    Methods raise DatasetDamaged if the archive is truncated, broken or hostile.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._stream = Stream(path)
        self._rewind = self._stream.bookmark()
        self._bookmarks: dict[str, tuple[Callable[[], None], int]] = {}

    def where(self, name: str) -> str:
        """The file of this name, for an error message."""
        return f"{name} in {self.path}"

    def scan(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Name and content of each of these files that is there, in the archive's order; it is read to its end."""
        self._bookmarks.clear()
        for name, size in self._members():
            if name not in names:
                continue
            if name in self._bookmarks:
                raise self._stream.damaged(f"has {name} twice")
            if size > FILE_BYTES:
                raise self._stream.damaged(f"has a {name} of {size:,} bytes, more than any CIFAR batch")
            self._bookmarks[name] = self._stream.bookmark(), size
            yield name, self._stream.read_exactly(size)
        if len(self._stream.read(MAX_TRAILER + 1)) > MAX_TRAILER:  # at its end, zlib compares gzip's checksum
            raise self._stream.damaged("has more data behind its end")

    def load(self, name: str) -> bytes:
        """The content of a file that ``scan`` returned."""
        go_back, size = self._bookmarks[name]
        go_back()
        return self._stream.read_exactly(size)

    def close(self) -> None:
        """Close the archive.  May be called twice."""
        self._stream.close()

    def _members(self) -> Iterator[tuple[str, int]]:
        """Name, without its folder, and size of each member that is not deeper, the stream at its content."""
        self._rewind()
        for number, member in enumerate(members_of(self._stream)):
            if member.start + member.size > MAX_BYTES:
                raise self._not_found(f"unpacks to more than {MAX_BYTES >> 20} MiB, which CIFAR does not")
            if number == MAX_MEMBERS:
                raise self._not_found(f"has more than {MAX_MEMBERS:,} files, which CIFAR does not")
            if member.name.count("/") < 2:
                yield member.name.rpartition("/")[2], member.size

    def _not_found(self, reason: str) -> DatasetNotFound:
        return DatasetNotFound(f"{self.path} {reason}: name the .tar.gz of CIFAR's Python version.")


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file in an archive."""

    name: str  # with its folders, which are relative and have no ``..``; undecodable bytes become surrogates
    start: int  # its first byte in the stream
    size: int


def members_of(stream: Stream, inside: str = "", end: int | None = None) -> Iterator[Member]:
    """The regular files of an archive, the stream at the content of each; those of a ``.tar`` in it are in a folder.

    Long names are those of GNU tar and pax.  Raises DatasetDamaged where the archive is truncated or broken.
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
        if kind in b"Lx" and size <= _MOST_HEADER_BYTES:
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

    def close(self) -> None:
        self._file.close()

    def _unpacked(self, opener: type[bz2.BZ2File | lzma.LZMAFile]) -> BinaryIO:
        """A temporary file of what a bzip2 or xz file holds."""
        with self._file, opener(self._file) as packed:
            file = tempfile.TemporaryFile()  # noqa: SIM115 - it is closed as the file of the stream
            try:
                shutil.copyfileobj(packed, file, CHUNK)
            except (EOFError, ValueError, lzma.LZMAError):
                raise self.damaged("is truncated or broken: it does not decompress") from None
            except OSError as error:
                if error.errno == errno.ENOSPC:
                    room = f"unpacking it needs more room than {tempfile.gettempdir()} has"
                    raise NoSpace(f"{self._path} was not opened: {room}; set TMPDIR, or unpack it yourself.") from None
                raise self.damaged("is broken: it does not decompress") from None
        file.seek(0)
        return file

    def _read_file(self, size: int) -> bytes:
        with reading(self._path):
            return self._file.read(size)

    def _pieces(self, size: int) -> Iterator[bytes]:
        """What the next compressed bytes unpack to, ``size`` bytes or up to the end."""
        while size and self._decoder is not None:
            if self._decoder.eof:  # a gzip file may be several in a row
                self._pending = self._decoder.unused_data or self._read_file(CHUNK)
                if not self._pending.startswith(GZIP):
                    return
                self._decoder = zlib.decompressobj(wbits=31)
            self._pending = self._pending or self._read_file(CHUNK)
            if not self._pending:
                raise self.damaged("is truncated: its gzip data end too early")
            try:
                piece = self._decoder.decompress(self._pending, size)
            except zlib.error:
                raise self.damaged("is broken: its gzip data do not decompress") from None
            self._pending = self._decoder.unconsumed_tail
            size -= len(piece)
            yield piece
