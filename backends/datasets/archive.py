"""Files of a dataset in a tar archive, plain or gzipped, read in place: nothing is extracted to disk."""

from __future__ import annotations

import tarfile
import zlib
from contextlib import contextmanager
from typing import TYPE_CHECKING, BinaryIO

from backends.datasets.regular_file import FILE_BYTES, kind_of, open_regular, printable, reading
from backends.errors import DatasetDamaged, DatasetNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

GZIP = b"\x1f\x8b"
BLOCK = 512
CHUNK = 1 << 18

MAX_MEMBERS = 1000
MAX_BYTES = 512 << 20
"""The largest archive that is unpacked; CIFAR-10 and CIFAR-100 together have 371 MB."""

MAX_TRAILER = 16 << 20
"""Padding that may follow the end of an archive."""


def is_archive(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (512 bytes) may be a tar archive, gzipped or not."""
    return head.startswith(GZIP) or _header(head) is not None


class TarFiles:
    """The regular files at the top of an archive or one folder below, by their names without the folder.

    ``tarfile`` parses each header and nothing more: extended headers of hostile archives can keep it busy or take any
    amount of memory.  Going back in a gzipped archive costs nothing, as the decoder's state is kept for each file.

    Raises
    ------
    NotAllowed, DatasetNotFound, DatasetDamaged
        It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_regular(path)
        with reading(path):
            self._stream = _Stream(self._file)
        self._rewind = self._stream.bookmark()
        self._bookmarks: dict[str, tuple[Callable[[], None], int]] = {}

    def where(self, name: str) -> str:
        """The file of this name, for an error message."""
        return f"{name} in {self.path}"

    def first_of(self, names: Collection[str]) -> str:
        """The first of these names in the archive, which is read no further.

        Raises
        ------
        DatasetNotFound
            There is none.
        DatasetDamaged
            The archive is truncated, broken or too large.
        """
        others: list[str] = []
        with self._errors():
            for name, _ in self._members():
                if name in names:
                    return name
                others.append(printable(name))
        listed = ", ".join([name for name in others if name][:3]) or "nothing"
        raise self._not_found(f"holds no known dataset (it has {listed})")

    def scan(self, names: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Name and content of each of these files that is there, in the archive's order; it is read to its end."""
        self._bookmarks.clear()
        with self._errors():
            for name, size in self._members():
                if name not in names:
                    continue
                if name in self._bookmarks:
                    raise _BadArchive(f"has {name} twice")
                if size > FILE_BYTES:
                    raise _BadArchive(f"has a {name} of {size:,} bytes, more than any CIFAR batch")
                self._bookmarks[name] = self._stream.bookmark(), size
                yield name, self._stream.read_exactly(size)
            if len(self._stream.read(MAX_TRAILER + 1)) > MAX_TRAILER:  # at its end, zlib compares gzip's checksum
                raise _BadArchive("has more data behind its end")

    def load(self, name: str) -> bytes:
        """The content of a file that ``scan`` gave."""
        go_back, size = self._bookmarks[name]
        with self._errors():
            go_back()
            return self._stream.read_exactly(size)

    def close(self) -> None:
        """Close the archive.  May be called twice."""
        self._file.close()

    def _members(self) -> Iterator[tuple[str, int]]:
        """Name (empty for what is not such a regular file) and size of each member, the stream at its content."""
        stream = self._stream
        self._rewind()
        for number in range(MAX_MEMBERS):
            start = stream.position
            head = stream.read_exactly(BLOCK)
            if not any(head):
                return
            info = _header(head)
            if info is None and number == 0:
                raise self._not_found(f"is {kind_of(head) or 'data of an unknown kind'} in gzip, not an archive")
            if info is None:
                raise _BadArchive(f"is broken: no tar header at byte {start:,}")
            size = 0 if info.isdir() or info.issym() or info.islnk() or info.isdev() else info.size
            if size < 0:
                raise _BadArchive("is broken: a file has a negative size")
            end = start + BLOCK + -(-size // BLOCK) * BLOCK
            if end > MAX_BYTES:
                raise self._not_found(f"unpacks to more than {MAX_BYTES >> 20} MiB, which CIFAR does not")
            yield _base_name(info), size
            stream.skip(end - stream.position)
        raise self._not_found(f"has more than {MAX_MEMBERS:,} files, which CIFAR does not")

    def _not_found(self, reason: str) -> DatasetNotFound:
        return DatasetNotFound(f"{self.path} {reason}: name the .tar.gz of CIFAR's Python version.")

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            with reading(self.path):
                yield
        except _BadArchive as reason:
            raise DatasetDamaged(f"{self.path} {reason}: get the archive again.") from None


class _BadArchive(Exception):
    """Why an archive cannot be read on, as the end of a sentence that begins with its path."""


class _Stream:
    """The bytes of a file, or those that a gzip file holds, read forwards, with bookmarks to go back to."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._decoder = zlib.decompressobj(wbits=31) if file.read(len(GZIP)) == GZIP else None
        self._pending = b""
        self.position = 0
        file.seek(0)

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer only at the end.  Raises _BadArchive for broken gzip data."""
        data = self._file.read(size) if self._decoder is None else b"".join(self._pieces(size))
        self.position += len(data)
        return data

    def read_exactly(self, size: int) -> bytes:
        data = self.read(size)
        if len(data) < size:
            raise _BadArchive("is truncated: it ends in the middle of a file")
        return data

    def skip(self, size: int) -> None:
        while size and (data := self.read(min(size, CHUNK))):
            size -= len(data)

    def bookmark(self) -> Callable[[], None]:
        """A function that goes back to here, as often as it is called; it keeps 40 KB for a gzip file."""
        position, at = self.position, self._file.tell() - len(self._pending)
        decoder = self._decoder and self._decoder.copy()

        def go_back() -> None:
            self._file.seek(at)
            self._decoder, self._pending, self.position = decoder and decoder.copy(), b"", position

        return go_back

    def _pieces(self, size: int) -> Iterator[bytes]:
        """What the next compressed bytes unpack to, ``size`` bytes or up to the end."""
        while size and self._decoder is not None:
            if self._decoder.eof:  # a gzip file may be several in a row
                self._pending = self._decoder.unused_data or self._file.read(CHUNK)
                if not self._pending.startswith(GZIP):
                    return
                self._decoder = zlib.decompressobj(wbits=31)
            self._pending = self._pending or self._file.read(CHUNK)
            if not self._pending:
                raise _BadArchive("is truncated: its gzip data end too early")
            try:
                piece = self._decoder.decompress(self._pending, size)
            except zlib.error:
                raise _BadArchive("is broken: its gzip data do not decompress") from None
            self._pending = self._decoder.unconsumed_tail
            size -= len(piece)
            yield piece


def _header(block: bytes) -> tarfile.TarInfo | None:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None


def _base_name(info: tarfile.TarInfo) -> str:
    """The last part of a regular file's name; empty for other members and those in other places."""
    parts = [part for part in info.name.split("/") if part != "."]
    regular = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
    return parts[-1] if regular and len(parts) in (1, 2) and ".." not in parts and parts[0] else ""
