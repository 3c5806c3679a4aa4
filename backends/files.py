"""One file an image: ``000/000042.png``, 100 a folder, with labels.npy, labels.csv and layout.json.

Raw records are bare pixels in ``.raw`` files; where their sizes are mixed, shapes.npy has a row for each.  Files that
were passed through end in what their format is known by: suffixes.npy says in what, sizes.npy how long they are.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from functools import lru_cache
from itertools import pairwise, repeat
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.base import Backend, Reader, Writer
from backends.batch import Columns, carries_shapes, row_buffer
from backends.errors import ContainerDamaged
from backends.images import Layout, Records, offsets_of
from backends.npy_format import data_start, npy_bytes
from backends.registry import make_codec
from backends.transfer import CREATE, write_at
from backends.whole_files import FOLDER, MAX_FILE_BYTES, WholeFiles

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from numpy.typing import NDArray

PER_FOLDER = 100
"""ext4 looks through a block of a folder for each file that it creates: a tenth of 1,000 takes a sixth less time."""
_SUFFIX = "|S5"
_PLACES = [f"{place:02d}" for place in range(PER_FOLDER)]


class Files(Backend):
    """A folder of images that any program opens."""

    name, title = "files", "one file an image"

    def create(self, path: Path, layout: Layout) -> FilesWriter:
        return FilesWriter(path, layout)

    def open(self, path: Path) -> FilesReader:
        return FilesReader(path)


class FilesWriter(Writer):
    """Writes one file a record; layout.json comes last and makes the folder a container."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path.absolute()
        self._layout = layout
        self._codec = make_codec(layout.codec)
        self._suffixes = None if self._codec.suffix else np.empty(layout.count, _SUFFIX)
        self._sizes = np.empty(layout.count, np.int64)
        self._columns = Columns(layout, MAX_FILE_BYTES)
        self._images = 0
        self._folders = 0
        self._others: list[str] = []
        self._folder = -1
        self._path.mkdir()
        self._root = os.open(self._path, FOLDER)

    def append(self, records: Records) -> None:
        first = self._columns.add(records)
        data, ends = records.data.data, records.offsets.tolist()
        if self._suffixes is not None:
            some = slice(first, first + len(records))
            self._suffixes[some] = [self._codec.suffix_of(records.record(index)) for index in range(len(records))]
            self._sizes[some] = np.diff(records.offsets)
        for index, (start, stop) in enumerate(pairwise(ends), first):
            if index % PER_FOLDER == 0:
                self._next_folder()
            suffix = self._codec.suffix or self._suffix(index)
            file = os.open(f"{index:06d}{suffix}", CREATE, 0o666, dir_fd=self._folder)
            self._images = index + 1
            try:
                written = os.write(file, data[start:stop])
                if written < stop - start:
                    write_at(file, records.data[start + written : stop], written)
            finally:
                os.close(file)

    def close(self) -> None:
        if self._root < 0:
            return
        try:
            self._columns.check_complete()
            self._write_columns()
            self._write("layout.json", [self._layout.to_json().encode()])
        except BaseException:
            self.abort()
            raise
        self._release()

    def abort(self) -> None:
        self._columns.abort()
        self._release()
        try:
            root = os.open(self._path, FOLDER)
        except FileNotFoundError:
            return
        try:
            for name in (*self._others, *(_image_name(index, self._suffix(index)) for index in range(self._images))):
                with suppress(FileNotFoundError):
                    os.unlink(name, dir_fd=root)
            for number in range(self._folders):
                _remove_folder(_folder_name(number), root)
        finally:
            os.close(root)
        _remove_folder(str(self._path), None)

    def _suffix(self, index: int) -> str:
        return self._codec.suffix if self._suffixes is None else self._suffixes[index].decode()

    def _next_folder(self) -> None:
        name = _folder_name(self._folders)
        os.mkdir(name, dir_fd=self._root)
        self._folders += 1
        previous, self._folder = self._folder, os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=self._root)
        if previous >= 0:
            os.close(previous)

    def _write_columns(self) -> None:
        tables = map(self._table, range(0, max(1, self._layout.count), PER_FOLDER))
        self._write("labels.csv", tables)
        self._write("labels.npy", [npy_bytes(self._columns.labels)])
        if self._columns.shapes is not None:
            self._write("shapes.npy", [npy_bytes(self._columns.shapes)])
        if self._suffixes is not None:
            self._write("suffixes.npy", [npy_bytes(self._suffixes)])
            self._write("sizes.npy", [npy_bytes(self._sizes)])

    def _table(self, start: int) -> bytes:
        """The lines of labels.csv for one folder, below its header for the first."""
        labels = self._columns.labels[start : start + PER_FOLDER].tolist()
        names = (_image_name(index, self._suffix(index)) for index in range(start, start + len(labels)))
        lines = "".join(f"{name},{label}\n" for name, label in zip(names, labels, strict=True))
        return lines.encode() if start else f"file,label\n{lines}".encode()

    def _write(self, name: str, pieces: Iterable[bytes]) -> None:
        file = os.open(name, CREATE, 0o666, dir_fd=self._root)
        self._others.append(name)
        try:
            for piece in pieces:
                while piece:
                    piece = piece[os.write(file, piece) :]
        finally:
            os.close(file)

    def _release(self) -> None:
        for descriptor in (self._folder, self._root):
            if descriptor >= 0:
                os.close(descriptor)
        self._folder = self._root = -1


class FilesReader(Reader):
    """Opens each image by its number, never by listing folders."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._columns: dict[str, NDArray[Any]] = {}
        self._open()

    def __reduce__(self) -> tuple[Any, ...]:
        return FilesReader, (self._path,)

    @property
    def labels(self) -> NDArray[np.int64]:
        return self._column("labels.npy", "<i8")

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        return self.read_rows(np.arange(start, stop), out)

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        self._reopen()
        into = None if out is None else row_buffer(self.layout, len(rows), out).reshape(-1)
        for folder in set((rows // PER_FOLDER).tolist()) - self._seen:
            self._files.check_folder(_folder_name(folder))
            self._seen.add(folder)
        suffixes, sizes = self._suffixes_and_sizes(rows)
        names = map(_image_name, rows.tolist(), suffixes)
        found = self._files.contents(names, sizes)
        data = np.frombuffer(b"".join(found), np.uint8)
        if into is not None:
            into[:] = data
        offsets = offsets_of([len(record) for record in found])
        return Records(data if into is None else into, offsets, self.labels[rows], self._shapes_of(rows))

    def close(self) -> None:
        self._files.close()

    def _open(self) -> None:
        self._files, self._seen = WholeFiles(self._path), set[int]()
        try:
            self.layout = Layout.from_json(self._files.content("layout.json"))
            self._suffix = make_codec(self.layout.codec).suffix
        except ContainerDamaged:
            self.close()
            raise
        except (ValueError, KeyError, TypeError) as error:
            self.close()
            raise self._files.damaged(f"layout.json is missing or invalid ({error})") from error

    def _reopen(self) -> None:
        if self._files.is_open:
            return
        before = self.layout
        self._open()
        if self.layout != before:
            self.layout = before
            self.close()
            raise self._files.damaged("layout.json has changed since it was opened")

    def _suffixes_and_sizes(self, rows: NDArray[np.int64]) -> tuple[Iterable[str], Iterable[int | None]]:
        """What the names of files end in, and how long they have to be, where that is known."""
        if self._suffix:
            return repeat(self._suffix), repeat(self.layout.record_bytes)
        suffixes = [suffix.decode(errors="replace") for suffix in self._column("suffixes.npy", _SUFFIX)[rows].tolist()]
        if not all(re.fullmatch(r"\.[a-z]+", suffix) for suffix in set(suffixes)):
            raise self._files.damaged("suffixes.npy has what is no suffix")
        sizes = self._column("sizes.npy", "<i8")[rows]
        if (sizes < 1).any():
            raise self._files.damaged("sizes.npy has what is no size")
        return suffixes, sizes.tolist()

    def _shapes_of(self, rows: NDArray[np.int64]) -> NDArray[np.int32] | None:
        return self._column("shapes.npy", "<i4", 3)[rows] if carries_shapes(self.layout) else None

    def _column(self, name: str, dtype: str, *width: int) -> NDArray[Any]:
        """One of the arrays beside the images, read-only."""
        if name not in self._columns:
            self._reopen()
            content, shape = self._files.content(name), (self.layout.count, *width)
            start = data_start(content, len(content), dtype, shape)
            if start is None:
                raise self._files.damaged(f"{name} is not an array of shape {shape} and type {dtype}")
            self._columns[name] = np.frombuffer(content, dtype, offset=start).reshape(shape)
        return self._columns[name]


def _folder_name(number: int) -> str:
    return f"{number:03d}"


def _image_name(index: int, suffix: str) -> str:
    folder, place = divmod(index, PER_FOLDER)
    return f"{_stem(folder)}{_PLACES[place]}{suffix}"


@lru_cache(maxsize=1024)
def _stem(folder: int) -> str:
    """What the names of all images of a folder begin with: formatting it each time takes as long as closing a file."""
    return f"{folder:03d}/{folder:04d}"


def _remove_folder(path: str, root: int | None) -> None:
    """Remove a folder unless somebody else has put something into it."""
    with suppress(OSError):
        os.rmdir(path, dir_fd=root)
