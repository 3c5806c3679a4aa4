"""The tree of folders of a dataset and the pictures in each, on a disk or in an archive."""

from __future__ import annotations

import os
import re
import stat
from array import array
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from backends import limits
from backends.codecs.pictures import HEAD_BYTES, SUFFIXES, format_of
from backends.datasets.base import Skipped
from backends.datasets.regular_file import check, open_regular, reading
from backends.errors import ImgstoreError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

SYSTEM = frozenset(
    ("__MACOSX", "@eaDir", "lost+found", "$RECYCLE.BIN", "System Volume Information", "Thumbs.db", "desktop.ini")
)
"""Names of files and folders that systems make; like names that begin with a dot, they are ignored."""

LABEL_FILES = ("metadata.csv", "metadata.jsonl")
"""Names of Hugging Face's files of labels, which lie beside the pictures."""

INSPECTED = 1000
"""Files of an unknown suffix that are opened before the others of this suffix are taken for no pictures either."""

_PACKED = 10_000
"""Files that are packed at a time, which needs little memory."""

CHECK_EVERY = 1000
"""Files between two checks whether to stop."""

_SUFFIX = re.compile(r"\.[a-z][a-z0-9]{0,9}$")

HIDDEN = "hidden and system files"
OTHERS = "files of other kinds"


@dataclass(slots=True)
class Folder:
    """A folder: its pictures, sorted by name, and the folders in it.  Names are packed, as there may be millions."""

    path: str = ""  # from the top of the tree; empty for the top
    names: bytes = b""  # of its pictures, encoded as on the filesystem, with NUL between them
    sizes: array[int] = field(default_factory=lambda: array("q"))  # of its pictures, in bytes
    rows: array[int] = field(default_factory=lambda: array("q"))  # of its pictures in the index of an archive
    folders: list[Folder] = field(default_factory=list)  # sorted by name
    total: int = 0  # pictures in it, at any depth
    label_file: str = ""  # the name of its file of labels
    empty: bool = True  # it has no files and no folders

    @property
    def name(self) -> str:
        return self.path.rpartition("/")[2]

    def add(self, lines: list[str]) -> None:
        """Pack the pictures of ``lines``, ``name NUL size`` or ``name NUL size NUL row``; the list is emptied."""
        lines.sort()  # by name, as NUL is in no name and comes before all other characters
        names = bytearray()
        for start in range(0, len(lines), _PACKED):
            fields = [line.split("\0") for line in lines[start : start + _PACKED]]
            names += os.fsencode("\0".join([line[0] for line in fields]) + "\0")
            self.sizes.extend([int(line[1]) for line in fields])
            self.rows.extend([int(line[2]) for line in fields if len(line) > 2])
        lines.clear()
        self.names = bytes(names[:-1])

    def count(self) -> int:
        """Sort the folders and set ``total``, here and below."""
        self.folders.sort(key=lambda folder: folder.name)
        self.total = len(self.sizes) + sum(folder.count() for folder in self.folders)
        return self.total

    def below(self) -> Iterator[Folder]:
        """This folder and all below it that have pictures of their own."""
        if self.sizes:
            yield self
        for folder in self.folders:
            yield from folder.below()

    def with_pictures(self) -> list[Folder]:
        """Its folders that lead to pictures."""
        return [folder for folder in self.folders if folder.total]


class Walk:
    """Builds the tree of a folder.  ``poll`` is called for every folder and every thousand files."""

    def __init__(self, top: Path, poll: Callable[[int], bool]) -> None:
        self.followed: Counter[str] = Counter()
        self.skipped = Skipped()
        self.inspected: dict[str, list[int]] = {}  # by suffix: files seen, opened, pictures among them
        self._top = os.fspath(top)
        self._poll, self._found = poll, 0
        self._entered: Counter[tuple[int, int]] = Counter()

    def tree(self) -> Folder:
        """The tree.  Raises NotAllowed where the top must not be read, Cancelled if ``poll`` returned True."""
        folder = Folder()
        with reading(self._top):
            self._fill(folder, (_identity(os.stat(self._top)),))  # noqa: PTH116
        folder.count()
        return folder

    def notes(self) -> list[str]:
        """Sentences on links that were followed, and on files that were not opened."""
        counted = [f"{what} ({number:,})" for what, number in sorted(self.followed.items())]
        notes = [f"Followed: {', '.join(counted)}."] if counted else []
        for suffix, (seen, opened, _) in self.inspected.items():
            if opened < seen:
                kind = f"files that end in {suffix}" if suffix else "files without a suffix"
                notes.append(f"Of {seen:,} {kind} {opened:,} were opened, and none is a picture.")
        return notes

    def _fill(self, folder: Folder, ancestors: tuple[tuple[int, int], ...]) -> None:
        """List a folder and those below it.  No folder is entered below itself, so that circular links do no harm."""
        path = os.path.join(self._top, folder.path)  # noqa: PTH118 - a Path takes three times as long
        prefix = folder.path and f"{folder.path}/"
        lines: list[str] = []
        below: list[tuple[str, tuple[int, int]]] = []
        with os.scandir(path) as entries:
            for number, entry in enumerate(entries):
                if number % CHECK_EVERY == 0:
                    check(self._top, self._poll, self._found + len(lines))
                name = entry.name
                if name[0] == "." or name in SYSTEM:
                    self.skipped.add(HIDDEN, prefix + name)
                    continue
                folder.empty = False
                linked = entry.is_symlink()
                try:
                    status = entry.stat()
                except OSError as error:
                    self.skipped.add("links that lead nowhere" if linked else f"files: {error.strerror}", prefix + name)
                    continue
                if stat.S_ISDIR(status.st_mode):
                    relative = prefix + name
                    identity = _identity(status)
                    if self._leads_to(identity, ancestors, relative, linked=linked):
                        below.append((relative, identity))
                elif not stat.S_ISREG(status.st_mode):
                    self.skipped.add("special files", prefix + name)
                elif name in LABEL_FILES:
                    folder.label_file = folder.label_file or name
                elif name.lower().endswith(SUFFIXES) or self._is_picture(prefix + name):
                    self.followed["links to files"] += linked
                    lines.append(f"{name}\0{status.st_size}")
                else:
                    self.skipped.add(OTHERS, prefix + name)
        self._found += len(lines)
        folder.add(lines)
        for relative, identity in below:
            child = Folder(relative)
            try:
                self._fill(child, (*ancestors, identity))
            except OSError as error:
                self.skipped.add(f"folders that cannot be read: {error.strerror}", relative)
                continue
            folder.folders.append(child)
        self.followed += Counter()  # without zeros

    def _leads_to(
        self, identity: tuple[int, int], ancestors: tuple[tuple[int, int], ...], relative: str, *, linked: bool
    ) -> bool:
        """Whether to enter a folder; one that links lead to again and again is entered a few times only."""
        self._entered[identity] += linked
        if identity in ancestors or self._entered[identity] > 8:
            self.skipped.add("folders that links lead to again", relative)
            return False
        if len(ancestors) > limits.FOLDERS_DEEP.value:
            self.skipped.add(f"folders inside {limits.FOLDERS_DEEP.exceeded()}", relative)
            return False
        self.followed["links to folders"] += linked
        return True

    def _is_picture(self, relative: str) -> bool:
        """Whether a file of an unknown suffix is a picture, by its first bytes."""
        found = _SUFFIX.search(relative.lower())
        seen = self.inspected.setdefault(found[0] if found else "", [0, 0, 0])
        seen[0] += 1
        if seen[1] >= INSPECTED and not seen[2]:
            return False
        seen[1] += 1
        is_one = is_picture(Path(self._top, relative))
        seen[2] += is_one
        return is_one


def is_picture(path: Path) -> bool:
    """Whether a file is a picture by its first bytes; False where it cannot be read."""
    try:
        with open_regular(path) as file, reading(path):
            return format_of(file.read(HEAD_BYTES)) is not None
    except ImgstoreError:
        return False


def is_system(path: str) -> bool:
    """Whether a part of a path is the name of a system's file or folder, or hidden."""
    return any(part in SYSTEM or (part[:1] == "." and part not in (".", "..")) for part in path.split("/"))


def tree_of(members: Iterable[tuple[str, int, int]]) -> Folder:
    """The tree of pictures given by path, size and row."""
    top = Folder()
    folders, lines = {"": top}, {"": list[str]()}

    def folder_at(path: str) -> None:
        if path not in folders:
            parent = path.rpartition("/")[0]
            folder_at(parent)
            folders[path], lines[path] = Folder(path), []
            folders[parent].folders.append(folders[path])

    for path, size, row in members:
        parent, _, name = path.rpartition("/")
        folder_at(parent)
        lines[parent].append(f"{name}\0{size}\0{row}")
    for path, folder in folders.items():
        folder.add(lines[path])
    top.count()
    return top


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino
