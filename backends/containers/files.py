"""One file an image: ``000/000042.png``, 100 a folder, with labels.npy, labels.csv and layout.json.

Raw records are bare pixels in ``.raw`` files; where their sizes are mixed, shapes.npy has a row for each.  Files that
were passed through end in what their format is known by: suffixes.npy says in what, sizes.npy how long they are.
"""

from __future__ import annotations

import os
import re
import stat
from contextlib import suppress
from functools import lru_cache
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.base import Backend
from backends.containers.array_folder import FolderReader, FolderWriter
from backends.containers.fileio import read_at
from backends.errors import refusal
from backends.images import Records
from backends.registry import make_codec

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.images import Layout

PER_FOLDER = 100
"""ext4 looks through a block of a folder for each file that it creates: a tenth of 1,000 takes a sixth less time."""
MAX_FILE_BYTES = 1 << 32
FIRST_READ_BYTES, LONG_READ_BYTES = 1 << 12, 1 << 20
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_UNSEEN = _READ | getattr(os, "O_NOATIME", 0)
"""The first read of a new file notes its time, which takes as long as the read itself; an owner may waive that."""
_SUFFIX = "|S5"


class Files(Backend):
    """A folder of images that any program opens."""

    name = "files"

    def create(self, path: Path, layout: Layout) -> FilesWriter:
        return FilesWriter(path, layout)

    def open(self, path: Path) -> FilesReader:
        return FilesReader(path)


class FilesWriter(FolderWriter):
    """Writes one file a record; layout.json comes last and makes the folder a container."""

    max_bytes = MAX_FILE_BYTES

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        self._codec = make_codec(layout.codec)
        self._suffixes = None if self._codec.suffix else np.empty(layout.count, _SUFFIX)
        self._made = 0

    def append(self, records: Records) -> None:
        first = self.add(records)
        if self._suffixes is not None:
            suffixes = [self._codec.suffix_of(records.record(index)) for index in range(len(records))]
            self._suffixes[first : first + len(records)] = suffixes
        data = records.data.data
        for index, (start, stop) in enumerate(pairwise(records.offsets.tolist()), first):
            self._made = index + 1
            if index % PER_FOLDER == 0:
                (self.path / _folder_name(index // PER_FOLDER)).mkdir()
            file = os.open(f"{self.path}/{self._name(index)}", _CREATE, 0o666)
            try:
                while start < stop:
                    start += os.write(file, data[start:stop])
            finally:
                os.close(file)

    def arrays(self) -> dict[str, NDArray[Any]]:
        with self.create("labels.csv") as file:
            file.write(b"file,label\n")
            for index, label in enumerate(self.labels):
                file.write(f"{self._name(index)},{label}\n".encode())
        if self._suffixes is None:
            return self.columns(offsets=False)
        return self.columns(offsets=False) | {"sizes": np.diff(self.offsets), "suffixes": self._suffixes}

    def remove(self) -> None:
        for name in map(self._name, range(self._made)):
            with suppress(FileNotFoundError):
                (self.path / name).unlink()
        for number in range(-(-self._made // PER_FOLDER)):
            with suppress(OSError):
                (self.path / _folder_name(number)).rmdir()
        super().remove()

    def _name(self, index: int) -> str:
        return _image_name(index, self._codec.suffix if self._suffixes is None else self._suffixes[index].decode())


class FilesReader(FolderReader):
    """Opens each image by its number, never by listing folders; reads only regular files, and follows no link."""

    kind = "folder of images"

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        for folder in set((rows // PER_FOLDER).tolist()) - self._seen:
            self._check_folder(_folder_name(folder))
            self._seen.add(folder)
        suffixes, sizes = self._suffixes_and_sizes(rows)
        return self.joined(rows, self._contents(map(_image_name, rows.tolist(), suffixes), sizes), out)

    def _open_records(self) -> None:
        self._seen, self._likely_bytes, self._flags = set[int](), FIRST_READ_BYTES, _UNSEEN
        self._suffix = make_codec(self.layout.codec).suffix

    def _check_folder(self, name: str) -> None:
        """Raises ContainerDamaged where ``name`` is no real folder but missing, or a link to elsewhere."""
        try:
            mode = os.stat(name, dir_fd=self.root, follow_symlinks=False).st_mode
        except FileNotFoundError:
            mode = 0
        if not stat.S_ISDIR(mode):
            raise self.damaged(f"the folder {name} is missing")

    def _contents(self, names: Iterable[str], sizes: Iterable[int | None]) -> list[bytes]:
        """All bytes of each file, which must have its size where that is known."""
        contents: list[bytes] = []
        name = ""
        try:
            for name, size in zip(names, sizes, strict=False):
                likely = 1 + min(self._likely_bytes if size is None else size, LONG_READ_BYTES)
                try:
                    file = os.open(name, self._flags, dir_fd=self.root)
                except PermissionError:
                    self._flags = _READ
                    file = os.open(name, _READ, dir_fd=self.root)
                try:
                    # pread refuses pipes, and only regular files end early: all others are left to fstat.
                    content = os.pread(file, likely, 0)
                    if not content or len(content) == likely:
                        content = self._long_content(file, name)
                finally:
                    os.close(file)
                if size is not None and len(content) != size:
                    raise self.damaged(f"{name} has {len(content):,} bytes, not {size:,}")
                contents.append(content)
        except OSError as error:
            damaged = self.damaged(f"{name} cannot be read ({error.strerror})")
            raise refusal(error, f"{self.path}/{name}") or damaged from error
        return contents

    def _long_content(self, file: int, name: str) -> bytes:
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode) or not 0 < facts.st_size <= MAX_FILE_BYTES:
            raise self.damaged(f"{name} is not a regular file of 1 to {MAX_FILE_BYTES:,} bytes")
        self._likely_bytes = max(self._likely_bytes, facts.st_size * 3 // 2)
        content = np.empty(facts.st_size, np.uint8)
        read_at(file, content, 0, name)
        return content.tobytes()

    def _suffixes_and_sizes(self, rows: NDArray[np.int64]) -> tuple[Iterable[str], Iterable[int | None]]:
        """What the names of files end in, and how long they have to be, where that is known."""
        if self._suffix:
            return repeat(self._suffix), repeat(self.layout.record_bytes)
        shape = (self.layout.count,)
        suffixes = [name.decode(errors="replace") for name in self.column("suffixes", _SUFFIX, shape)[rows].tolist()]
        if not all(re.fullmatch(r"\.[a-z]+", suffix) for suffix in set(suffixes)):
            raise self.damaged("suffixes.npy has what is no suffix")
        sizes = self.column("sizes", "<i8", shape)[rows]
        if (sizes < 1).any():
            raise self.damaged("sizes.npy has what is no size")
        return suffixes, sizes.tolist()


def _folder_name(number: int) -> str:
    return f"{number:03d}"


def _image_name(index: int, suffix: str) -> str:
    folder, number = divmod(index, PER_FOLDER)
    return f"{_stem(folder)}{number:02d}{suffix}"


@lru_cache(maxsize=1024)
def _stem(folder: int) -> str:
    """What the names of all images of a folder begin with: formatting it each time takes as long as closing a file."""
    return f"{folder:03d}/{folder:04d}"
