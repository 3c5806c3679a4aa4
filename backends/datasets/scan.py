"""Lists the picture files below a folder, with their classes and sizes.

Classes, ids and order are those of torchvision's ``ImageFolder``: each sub-folder is a class, classes are sorted by
name, and a class has all pictures at any depth below it, sorted by folder and name.  In addition, a folder without
sub-folders of pictures is flat, suffixes may be missing or wrong, and skipped files are counted.
"""

from __future__ import annotations

import json
import os
import stat
from array import array
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import xxhash

from backends.codecs.pictures import HEAD_BYTES, format_of
from backends.datasets.regular_file import open_regular, reading
from backends.errors import Cancelled, ImgstoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

SUFFIXES = (".jpg", ".jpeg", ".jpe", ".png", ".bmp", ".webp")
"""Suffixes of pictures, in lower case."""

SNIFFED = 1000
"""Files with other suffixes are opened to see whether they are pictures, unless there are more than these."""

_CHECK_EVERY = 1000
"""Files between two checks whether to stop."""


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """The files of one split, with all names in one string, as there may be millions."""

    names: bytes  # the paths relative to the scanned folder, encoded as on the filesystem, end to end
    ends: NDArray[np.int64]  # (count,): where each path ends in ``names``
    classes: tuple[str, ...]  # names by label, sorted; empty for a flat folder
    labels: NDArray[np.int64]  # (count,); -1 in a flat folder
    sizes: NDArray[np.int64]  # (count,), in bytes
    notes: tuple[str, ...]  # sentences on links, skipped files and empty classes

    def name(self, index: int) -> str:
        """The path of a file relative to the scanned folder; undecodable bytes become surrogates."""
        start = self.ends[index - 1] if index else 0
        return os.fsdecode(self.names[start : self.ends[index]])

    def fingerprint(self) -> str:
        """Hexadecimal digest of classes, names, sizes and labels; no picture is read."""
        digest = xxhash.xxh3_128(json.dumps(self.classes).encode())
        digest.update(self.names)
        for column in (self.ends, self.sizes, self.labels):
            digest.update(column.astype("<i8").tobytes())
        return digest.hexdigest()


def scan(top: Path, cancelled: Callable[[], bool]) -> PictureFiles:
    """List the pictures below ``top``.  Only files without a known suffix are opened, if they are few.

    ``cancelled`` is called for every folder and every thousand files.  Raises as ``Pictures`` does.
    """
    walk = _Walk(top, cancelled)
    flat: list[str] = []
    classes = walk.list_folder("", flat)
    by_class = [walk.list_tree(name) for name in classes]
    walk.sniff_others()
    if not any(by_class):
        return _pack(walk, (), [flat])
    walk.skipped["pictures beside the classes"] += len(flat)
    return _pack(walk, tuple(classes), by_class)


def is_picture_name(name: str) -> bool:
    """Whether a file's suffix is that of a picture."""
    return name.lower().endswith(SUFFIXES)


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its first bytes; False where it cannot be read."""
    try:
        with open_regular(path) as file, reading(path):
            return format_of(file.read(HEAD_BYTES)) is not None
    except ImgstoreError:
        return False


class _Walk:
    """A walk over a folder and those below it, and counts of the links followed and files skipped.

    A file is the string ``folder NUL name NUL size``.  A list of such strings needs half the memory of tuples, and
    sorts by folder, then by name, since NUL is in no name and comes before all other characters.
    """

    def __init__(self, top: Path, cancelled: Callable[[], bool]) -> None:
        self.followed: Counter[str] = Counter()
        self.skipped: Counter[str] = Counter()
        self._top = os.fspath(top)
        self._cancelled = cancelled
        self._others: list[tuple[list[str], str]] = []
        self._entered: set[tuple[int, int]] = set()

    def list_tree(self, name: str) -> list[str]:
        """The files at any depth below a folder.  Each folder is entered once, so that circular links do no harm."""
        with reading(self._top):
            self._entered = {_identity(self._top)}
        files: list[str] = []
        waiting = [name]
        while waiting:
            folder = waiting.pop()
            waiting += [f"{folder}/{below}" for below in reversed(self.list_folder(folder, files))]
        return files

    def list_folder(self, folder: str, files: list[str]) -> list[str]:
        """Append the files of one folder to ``files``, and return the names of its folders, sorted."""
        path = os.path.join(self._top, folder)  # noqa: PTH118 - a Path takes three times as long
        folders: list[str] = []
        with reading(path), os.scandir(path) as entries:
            identity = _identity(path)
            if identity in self._entered:
                self.skipped["folders that links lead to again"] += 1
                return folders
            self._entered.add(identity)
            for number, entry in enumerate(entries):
                if number % _CHECK_EVERY == 0 and self._cancelled():
                    raise Cancelled(f"{self._top} was not opened: it was stopped.")
                self._add(entry, folder, files, folders)
        return sorted(folders)

    def _add(self, entry: os.DirEntry[str], folder: str, files: list[str], folders: list[str]) -> None:
        name = entry.name
        if name.startswith("."):
            self.skipped["hidden files and folders"] += 1
            return
        linked = entry.is_symlink()
        try:
            status = entry.stat()
        except OSError:
            if not linked:
                raise
            self.skipped["links that lead nowhere"] += 1
            return
        line = f"{folder}\0{name}\0{status.st_size}"
        if stat.S_ISDIR(status.st_mode):
            self.followed["links to folders"] += linked
            folders.append(name)
        elif not stat.S_ISREG(status.st_mode):
            self.skipped["special files"] += 1
        elif is_picture_name(name):
            self.followed["links to files"] += linked
            files.append(line)
        else:
            self.skipped["files of other kinds"] += 1
            if len(self._others) <= SNIFFED:
                self._others.append((files, line))

    def sniff_others(self) -> None:
        """Add the pictures among the files without a known suffix, if these are few."""
        if len(self._others) > SNIFFED:
            return
        for files, line in self._others:
            folder, name, _ = line.split("\0")
            if is_picture(Path(self._top, folder, name)):
                files.append(line)
                self.skipped["files of other kinds"] -= 1


def _identity(path: str) -> tuple[int, int]:
    status = os.stat(path)  # noqa: PTH116
    return status.st_dev, status.st_ino


def _pack(walk: _Walk, classes: tuple[str, ...], by_class: Sequence[list[str]]) -> PictureFiles:
    """Sort and pack the files, a class at a time; the lists are emptied to save memory."""
    counts = [len(lines) for lines in by_class]
    names, ends, sizes = bytearray(), array("q"), array("q")
    for lines in by_class:
        lines.sort()
        for line in lines:
            folder, name, size = line.split("\0")
            names += os.fsencode(f"{folder}/{name}" if folder else name)
            ends.append(len(names))
            sizes.append(int(size))
        lines.clear()
    return PictureFiles(
        names=bytes(names),
        ends=np.frombuffer(ends, np.int64),
        classes=classes,
        labels=np.repeat(np.arange(len(classes)) if classes else np.array([-1]), counts),
        sizes=np.frombuffer(sizes, np.int64),
        notes=tuple(_notes(walk, [name for name, count in zip(classes, counts, strict=False) if not count])),
    )


def _notes(walk: _Walk, empty: list[str]) -> list[str]:
    notes = []
    for verb, counter in (("Followed", walk.followed), ("Skipped", walk.skipped)):
        counted = [f"{what} ({number:,})" for what, number in sorted(counter.items()) if number]
        if counted:
            notes.append(f"{verb}: {', '.join(counted)}.")
    if empty:
        more = f" and {len(empty) - 3:,} more" if len(empty) > 3 else ""
        notes.append(f"Classes without pictures: {', '.join(empty[:3])}{more}.")
    return notes
