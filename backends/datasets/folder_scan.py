"""Which picture files a folder has and in which classes, by names and sizes alone.

The rule is that of torchvision's ``ImageFolder``: a class is a sub-folder, the classes are sorted by name, and all
pictures at any depth below a class belong to it, sorted by folder and name.  Beyond it, a folder without sub-folders of
pictures is flat, suffixes may be missing or wrong, and what is passed over is counted.
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
"""Of pictures, in any case."""

SNIFFED = 1000
"""Files with other suffixes are looked into where there are no more than these."""

_ASK_EVERY = 1000


@dataclass(frozen=True, slots=True)
class PictureFiles:
    """The files, with their names in two pieces of memory, so that there may be many.

    Attributes
    ----------
    text
        The paths relative to the scanned folder, with slashes, end to end, as the filesystem has them.
    ends
        ``(count,)`` int64: where each ends.
    classes
        Sorted; empty for a flat folder.
    labels, sizes
        ``(count,)`` int64: the class (-1 in a flat folder) and the bytes of each file, in the order of ``text``.
    notes
        Sentences on links, on what was passed over, and on empty classes.
    """

    text: bytes
    ends: NDArray[np.int64]
    classes: tuple[str, ...]
    labels: NDArray[np.int64]
    sizes: NDArray[np.int64]
    notes: tuple[str, ...]

    def name(self, index: int) -> str:
        """The path of one file; undecodable bytes as surrogates."""
        start = self.ends[index - 1] if index else 0
        return os.fsdecode(self.text[start : self.ends[index]])

    def fingerprint(self) -> str:
        """A digest of classes, names, sizes and labels; no picture is read."""
        digest = xxhash.xxh3_128(json.dumps(self.classes).encode())
        digest.update(self.text)
        for column in (self.ends, self.sizes, self.labels):
            digest.update(column.astype("<i8").tobytes())
        return digest.hexdigest()


def scan(top: Path, cancelled: Callable[[], bool]) -> PictureFiles:
    """List the pictures below ``top``; no file is opened but some of those without a known suffix.

    ``cancelled`` is asked at every folder and every thousand files.  Raises as ``Pictures`` does.
    """
    walk = _Walk(top, cancelled)
    flat: list[str] = []
    classes = walk.list_folder("", flat)
    found = [walk.list_tree(name) for name in classes]
    walk.sniff_others()
    if not any(found):
        return _packed(walk, (), [flat])
    walk.passed_over["pictures beside the classes"] += len(flat)
    return _packed(walk, tuple(classes), found)


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
    """One walk over a folder.

    A found file is the text ``folder NUL name NUL size``: a list of such texts needs half the memory of tuples, and
    sorts by folder, then by name, since NUL is in no name and comes before all other characters.
    """

    def __init__(self, top: Path, cancelled: Callable[[], bool]) -> None:
        self.followed: Counter[str] = Counter()
        self.passed_over: Counter[str] = Counter()
        self._top = os.fspath(top)
        self._cancelled = cancelled
        self._others: list[tuple[list[str], str]] = []
        with reading(top):
            self._above = _identity(top.stat())
        self._entered = {self._above}

    def list_tree(self, name: str) -> list[str]:
        """The files at any depth below a folder; each folder is entered once, so that no link leads in circles."""
        self._entered = {self._above}
        found: list[str] = []
        waiting = [name]
        while waiting:
            folder = waiting.pop()
            waiting += [f"{folder}/{below}" for below in reversed(self.list_folder(folder, found))]
        return found

    def list_folder(self, folder: str, found: list[str]) -> list[str]:
        """Add the files of one folder to ``found``; return the names of the folders in it, sorted."""
        path = os.path.join(self._top, folder)  # noqa: PTH118 - a Path takes three times as long
        below: list[str] = []
        with reading(path), os.scandir(path) as entries:
            if folder:
                identity = _identity(os.stat(path))  # noqa: PTH116
                if identity in self._entered:
                    self.passed_over["folders that links lead to again"] += 1
                    return below
                self._entered.add(identity)
            for number, entry in enumerate(entries):
                if number % _ASK_EVERY == 0 and self._cancelled():
                    raise Cancelled(f"{self._top} was not opened: it was stopped.")
                self._look_at(entry, folder, found, below)
        return sorted(below)

    def _look_at(self, entry: os.DirEntry[str], folder: str, found: list[str], below: list[str]) -> None:
        name = entry.name
        if name.startswith("."):
            self.passed_over["hidden files and folders"] += 1
            return
        linked = entry.is_symlink()
        try:
            status = entry.stat()
        except OSError:
            if not linked:
                raise
            self.passed_over["links that lead nowhere"] += 1
            return
        if stat.S_ISDIR(status.st_mode):
            self.followed["links to folders"] += linked
            below.append(name)
        elif not stat.S_ISREG(status.st_mode):
            self.passed_over["special files"] += 1
        else:
            line = f"{folder}\0{name}\0{status.st_size}"
            if is_picture_name(name):
                self.followed["links to files"] += linked
                found.append(line)
            else:
                self.passed_over["files of other kinds"] += 1
                if len(self._others) <= SNIFFED:
                    self._others.append((found, line))

    def sniff_others(self) -> None:
        """Look into files without a known suffix, if they are few."""
        if len(self._others) > SNIFFED:
            return
        for found, line in self._others:
            folder, name, _ = line.split("\0")
            if is_picture(Path(self._top, folder, name)):
                found.append(line)
                self.passed_over["files of other kinds"] -= 1


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _packed(walk: _Walk, classes: tuple[str, ...], found: Sequence[list[str]]) -> PictureFiles:
    """Sort and pack what was found, a class at a time; the lists are emptied."""
    counts = [len(lines) for lines in found]
    text, ends, sizes = bytearray(), array("q"), array("q")
    for lines in found:
        lines.sort()
        for line in lines:
            folder, name, size = line.split("\0")
            text += os.fsencode(f"{folder}/{name}" if folder else name)
            ends.append(len(text))
            sizes.append(int(size))
        lines.clear()
    return PictureFiles(
        text=bytes(text),
        ends=np.frombuffer(ends, np.int64),
        classes=classes,
        labels=np.repeat(np.arange(len(classes)) if classes else np.array([-1]), counts),
        sizes=np.frombuffer(sizes, np.int64),
        notes=tuple(_notes(walk, [name for name, count in zip(classes, counts, strict=False) if not count])),
    )


def _notes(walk: _Walk, empty: list[str]) -> list[str]:
    notes = []
    for verb, counter in (("Followed", walk.followed), ("Passed over", walk.passed_over)):
        counted = [f"{what} ({number:,})" for what, number in sorted(counter.items()) if number]
        if counted:
            notes.append(f"{verb}: {', '.join(counted)}.")
    if empty:
        more = f" and {len(empty) - 3:,} more" if len(empty) > 3 else ""
        notes.append(f"Classes without pictures: {', '.join(empty[:3])}{more}.")
    return notes
