"""Files and folders of users, opened without blocking, and sentences for what cannot be read."""

from __future__ import annotations

import os
import stat
import zlib
from contextlib import contextmanager
from itertools import islice
from lzma import LZMAError
from tokenize import TokenError
from typing import TYPE_CHECKING, BinaryIO
from zipfile import BadZipFile

from backends.codecs.pictures import format_of
from backends.errors import Cancelled, DatasetDamaged, DatasetNotFound, ImgstoreError, NotAllowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

LISTED = 10_000
"""Entries of a folder that are listed to tell what it is."""

_SPECIAL = {
    stat.S_IFIFO: "a FIFO",
    stat.S_IFSOCK: "a socket",
    stat.S_IFCHR: "a device",
    stat.S_IFBLK: "a device",
    stat.S_IFDIR: "a folder",
}

_MAGIC = (
    (b"GIF8", "a GIF picture"),
    (b"PK\x03\x04", "a zip archive"),
    (b"\x1f\x8b", "gzip data"),
    (b"BZh", "bzip2 data"),
    (b"\xfd7zXZ\x00", "xz data"),
    (b"\x28\xb5\x2f\xfd", "zstd data"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file"),
    (b"\x93NUMPY", "a numpy array"),
    (b"PAR1", "a Parquet file"),
    (b"SQLite format 3\x00", "an SQLite database"),
    (b"%PDF-", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"\x00\x00\x08", "an MNIST file"),
)


_BROKEN: tuple[type[Exception], ...] = (
    *(EOFError, ValueError, LookupError, RuntimeError, TokenError, zlib.error, LZMAError, BadZipFile),
)
"""What libraries raise for broken files."""
_NO_BLANKS = dict.fromkeys(map(ord, "\t\n\r\f"))


@contextmanager
def reading(path: Path | str) -> Iterator[None]:
    """Turn errors of the operating system into errors of this package that name ``path``.

    NotAllowed without permission, DatasetNotFound if nothing is there, DatasetDamaged for others, as of a failing disk,
    and for those without a number, which libraries raise for broken files.
    """
    try:
        yield
    except ImgstoreError:  # which may be a PermissionError or FileNotFoundError too
        raise
    except PermissionError as error:
        raise NotAllowed(f"{path} must not be read: allow it with chmod, or name another dataset.") from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise DatasetNotFound(f"{path} does not exist: check its spelling.") from error
    except OSError as error:
        if error.errno is None:
            raise broken(path, error) from None
        raise DatasetDamaged(f"{path} cannot be read: {error.strerror}; check the path and its disk.") from error


@contextmanager
def unpacking(path: Path | str, *others: type[Exception]) -> Iterator[None]:
    """``reading``, and DatasetDamaged for what libraries raise for broken files, ``others`` too."""
    try:
        with reading(path):
            yield
    except ImgstoreError:
        raise
    except _BROKEN + others as error:
        raise broken(path, error) from None


def broken(path: Path | str, error: object) -> DatasetDamaged:
    """The error for a file that a library cannot read, with the first line of what that says."""
    reason = printable(str(error).partition("\n")[0], 120)
    return DatasetDamaged(f"{path} is truncated or broken ({reason}): get it again.")


def check(path: Path | str, poll: Callable[[int], bool], found: int) -> None:
    """Tell ``poll`` how many pictures were found.  Raises Cancelled if it returns True."""
    if poll(found):
        raise Cancelled(f"{path} was not opened: it was stopped.")


def open_regular(path: Path) -> BinaryIO:
    """Open a regular file for reading; a FIFO or a device does not block, and raises DatasetDamaged."""
    with reading(path):
        file = os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb")
        mode = os.fstat(file.fileno()).st_mode
    if not stat.S_ISREG(mode):
        file.close()
        raise DatasetDamaged(f"{path} is {special(mode)}, not a file: replace it with the file that belongs there.")
    return file


def is_folder(entry: os.DirEntry[str]) -> bool:
    """Whether an entry is a folder or a link to one; False for a broken or circular link."""
    try:
        return entry.is_dir()
    except OSError:
        return False


def list_folder(folder: Path) -> tuple[list[str], list[str]]:
    """Sorted names of the files and the folders in a folder, of its first entries only.  Raises as ``reading``."""
    files: list[str] = []
    folders: list[str] = []
    with reading(folder), os.scandir(folder) as entries:
        for entry in islice(entries, LISTED):
            (folders if is_folder(entry) else files).append(entry.name)
    return sorted(files), sorted(folders)


def special(mode: int) -> str:
    """The kind of a file that is not a regular one, by its ``st_mode``, in words."""
    return _SPECIAL.get(stat.S_IFMT(mode), "something special")


def kind_of(head: bytes) -> str | None:
    """The kind of a file by its first 512 bytes, in words; None if it is not known."""
    if picture := format_of(head):
        return f"a {picture} picture"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if head[257:262] == b"ustar":
        return "a tar archive"
    start = head[:64].decode("latin-1")
    return "text" if start and start.isascii() and start.translate(_NO_BLANKS).isprintable() else None


def printable(name: str, most: int = 60) -> str:
    """A name from a stranger's file as ASCII without control characters, ``most`` characters at most."""
    return ascii(name[:most])[1:-1][:most]
