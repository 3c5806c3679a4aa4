"""The files of a dataset inside a tar archive, plain or gzipped, read where they lie: nothing is extracted to disk."""

from __future__ import annotations

import tarfile
from contextlib import contextmanager
from typing import TYPE_CHECKING

from backends.datasets.pickled_array import printable
from backends.datasets.regular_file import FILE_BYTES, kind_of, open_regular, reading
from backends.datasets.streams import GZIP, Broken, GzipStream, PlainStream
from backends.errors import DatasetDamaged, DatasetNotFound

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator
    from pathlib import Path

BLOCK = 512
MEMBERS = 1000
TOTAL_BYTES = 512 << 20
"""Of an archive that may be read through: CIFAR-10 and CIFAR-100 together have 371 MB."""

TRAILER = 16 << 20
"""Zeros that may follow the end of an archive."""


def is_archive(head: bytes) -> bool:
    """Whether a file that begins with ``head`` (512 bytes) may be a tar archive, gzipped or not."""
    return head.startswith(GZIP) or _header(head) is not None


class TarFiles:
    """As ``FolderFiles``, of an archive: its regular files, at its top or one folder below, by their bare names.

    Raises
    ------
    NotAllowed, DatasetNotFound, DatasetDamaged
        It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file = open_regular(path)
        with reading(path):
            gzipped = self._file.read(2) == GZIP
            self._file.seek(0)
        self._stream = GzipStream(self._file) if gzipped else PlainStream(self._file)
        self._restart = self._stream.bookmark()
        self._ahead = 0
        self._found: dict[str, tuple[Callable[[], object], int]] = {}

    def where(self, name: str) -> str:
        return f"{name} in {self.path}"

    def first_of(self, wanted: Collection[str]) -> str:
        """The first of the ``wanted`` names in the archive, which is read no further.

        Raises
        ------
        DatasetNotFound
            There is none.
        DatasetDamaged
            It is truncated, broken or too large.
        """
        seen: list[str] = []
        with self._guarded():
            for name, _ in self._members():
                if name in wanted:
                    return name
                seen.append(printable(name))
        names = ", ".join([name for name in seen if name][:3]) or "nothing"
        raise self._foreign(f"holds no known dataset (it has {names})")

    def scan(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        self._found.clear()
        with self._guarded():
            for name, size in self._members():
                if name not in wanted:
                    continue
                if name in self._found:
                    raise Broken(f"has {name} twice")
                if size > FILE_BYTES:
                    raise Broken(f"has a {name} of {size:,} bytes, more than any CIFAR batch")
                self._found[name] = self._stream.bookmark(), size
                self._ahead -= size
                yield name, self._exactly(size)
            if len(self._stream.read(TRAILER + 1)) > TRAILER:  # to the end, where gzip's checksum is compared
                raise Broken("has more data behind its end")

    def load(self, name: str) -> bytes:
        go_back, size = self._found[name]
        with self._guarded():
            go_back()
            return self._exactly(size)

    def close(self) -> None:
        self._file.close()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            with reading(self.path):
                yield
        except Broken as reason:
            raise DatasetDamaged(f"{self.path} {reason}: get the archive again.") from None

    def _members(self) -> Iterator[tuple[str, int]]:
        """Name (empty for what is of no use) and size of every member, the stream at its first byte.

        Whoever reads on takes what was read from ``_ahead``, the bytes up to the next header.
        """
        self._restart()
        passed = 0
        for _ in range(MEMBERS):
            head = self._exactly(BLOCK)
            if not any(head):
                return
            info = _header(head)
            if info is None and not passed:
                raise self._foreign(f"is {kind_of(head) or 'data of an unknown kind'} in gzip, no archive")
            if info is None:
                raise Broken(f"is broken: no tar header at byte {passed:,}")
            size = 0 if info.isdir() or info.issym() or info.islnk() or info.isdev() else info.size
            if size < 0:
                raise Broken("is broken: a file has fewer than no bytes")
            self._ahead = -(-size // BLOCK) * BLOCK
            passed += BLOCK + self._ahead
            if passed > TOTAL_BYTES:
                raise self._foreign(f"unpacks to more than {TOTAL_BYTES >> 20} MiB, which CIFAR does not")
            yield _bare_name(info), size
            self._stream.skip(self._ahead)
        raise self._foreign(f"has more than {MEMBERS:,} files, which CIFAR has not")

    def _foreign(self, reason: str) -> DatasetNotFound:
        return DatasetNotFound(f"{self.path} {reason}: name the .tar.gz of CIFAR's Python version.")

    def _exactly(self, size: int) -> bytes:
        data = self._stream.read(size)
        if len(data) < size:
            raise Broken("is truncated: it ends in the middle of a file")
        return data


def _header(block: bytes) -> tarfile.TarInfo | None:
    try:
        return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return None


def _bare_name(info: tarfile.TarInfo) -> str:
    """The last part of a regular file's name; empty for everything that is not a file or lies elsewhere."""
    parts = [part for part in info.name.split("/") if part != "."]
    plain = info.type in (tarfile.REGTYPE, tarfile.AREGTYPE)
    return parts[-1] if plain and len(parts) in (1, 2) and ".." not in parts and parts[0] else ""
