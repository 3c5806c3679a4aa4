"""One file an image: ``000/000042.png``, at most 1,000 a folder, with labels.npy, labels.csv and layout.json.

Raw records are bare pixels in ``.raw`` files; where their sizes are mixed, shapes.npy has a row for each.
"""

from __future__ import annotations

import io
import os
import stat
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.base import Backend, Reader, Writer
from backends.batch import Columns, carries_shapes, row_buffer
from backends.errors import ContainerDamaged
from backends.images import Layout, Records, even_offsets
from backends.registry import make_codec
from backends.transfer import write_at

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

PER_FOLDER = 1_000
MAX_RECORD_BYTES = 1 << 30
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC


class Files(Backend):
    """A folder of images that any program opens."""

    name, title = "files", "one file an image"

    def create(self, path: Path, layout: Layout) -> FilesWriter:
        return FilesWriter(path, layout)

    def open(self, path: Path) -> FilesReader:
        return FilesReader(path)


class FilesWriter(Writer):
    """Writes record ``i`` as ``{i // 1000:03d}/{i:06d}{suffix}``; layout.json comes last and makes it a container."""

    def __init__(self, path: Path, layout: Layout) -> None:
        self._path = path.absolute()
        self._layout = layout
        self._suffix = make_codec(layout.codec).suffix
        self._columns = Columns(layout)
        self._folders: list[str] = []
        self._files: list[str] = []
        self._images = 0
        self._folder = -1
        self._path.mkdir()
        self._root = os.open(self._path, _FOLDER)

    def append(self, records: Records) -> None:
        first = self._columns.add(records)
        data, ends = records.data.data, records.offsets.tolist()
        for index, start, stop in zip(range(first, first + len(records)), ends, ends[1:], strict=False):
            if index % PER_FOLDER == 0:
                self._next_folder(f"{index // PER_FOLDER:03d}")
            file = os.open(f"{index:06d}{self._suffix}", _CREATE, 0o666, dir_fd=self._folder)
            self._images = index + 1
            try:
                if os.write(file, data[start:stop]) != stop - start:
                    write_at(file, records.data[start:stop], 0)
            finally:
                os.close(file)

    def close(self) -> None:
        if self._root < 0:
            return
        try:
            self._columns.check_complete()
            self._finish()
        except BaseException:
            self.abort()
            raise
        self._release()

    def abort(self) -> None:
        self._release()
        if not self._path.exists():
            return
        root = os.open(self._path, _FOLDER)
        try:
            for name in [*map(self._name, range(self._images)), *self._files]:
                os.unlink(name, dir_fd=root)
            for folder in self._folders:
                os.rmdir(folder, dir_fd=root)
        finally:
            os.close(root)
        self._path.rmdir()

    def _name(self, index: int) -> str:
        return _name(index, self._suffix)

    def _next_folder(self, folder: str) -> None:
        os.mkdir(folder, dir_fd=self._root)
        self._folders.append(folder)
        previous, self._folder = self._folder, os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=self._root)
        if previous >= 0:
            os.close(previous)

    def _finish(self) -> None:
        labels = self._columns.labels
        names = map(self._name, range(len(labels)))
        rows = "".join(f"{name},{label}\n" for name, label in zip(names, labels.tolist(), strict=True))
        self._write("labels.csv", b"file,label\n" + rows.encode())
        self._write("labels.npy", _npy_bytes(labels))
        if self._columns.shapes is not None:
            self._write("shapes.npy", _npy_bytes(self._columns.shapes))
        self._write("layout.json", self._layout.to_json().encode())

    def _write(self, name: str, content: bytes) -> None:
        file = os.open(name, _CREATE, 0o666, dir_fd=self._root)
        self._files.append(name)
        try:
            write_at(file, np.frombuffer(content, np.uint8), 0)
        finally:
            os.close(file)

    def _release(self) -> None:
        for descriptor in (self._folder, self._root):
            if descriptor >= 0:
                os.close(descriptor)
        self._folder = self._root = -1


class FilesReader(Reader):
    """Opens each image by its number, never by listing folders; follows no link and reads regular files only."""

    def __init__(self, path: Path) -> None:
        self._path = path.absolute()
        self._root = -1
        self._labels: NDArray[np.int64] | None = None
        self._shapes: NDArray[np.int32] | None = None
        self._open()

    def __reduce__(self) -> tuple[Any, ...]:
        return FilesReader, (self._path,)

    @property
    def labels(self) -> NDArray[np.int64]:
        if self._labels is None:
            self._labels = self._column("labels.npy", np.dtype(np.int64), (self.layout.count,))
        return self._labels

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        return self._read(np.arange(start, stop), out)

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        return self._read(rows, out)

    def close(self) -> None:
        if self._root >= 0:
            os.close(self._root)
        self._root = -1

    def _open(self) -> None:
        try:
            self._root = os.open(self._path, _FOLDER)
            self.layout = Layout.from_json(self._content("layout.json"))
            self._suffix = make_codec(self.layout.codec).suffix
        except (ValueError, KeyError, TypeError, NotADirectoryError) as error:
            self.close()
            raise self._damaged(f"layout.json does not say what it holds ({error})") from error

    def _read(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        if self._root < 0:
            self._open()
        shapes = None
        if carries_shapes(self.layout):
            if self._shapes is None:
                self._shapes = self._column("shapes.npy", np.dtype(np.int32), (self.layout.count, 3))
            shapes = self._shapes[rows]
        size = self.layout.record_bytes
        if size is not None:
            into = row_buffer(self.layout, len(rows), out)
            for row, index in zip(into, rows.tolist(), strict=True):
                row[:] = np.frombuffer(self._content(_name(index, self._suffix), size), np.uint8)
            return Records(into.reshape(-1), even_offsets(len(rows), size), self.labels[rows], shapes)
        if out is not None:
            row_buffer(self.layout, len(rows), out)
        found = [self._content(_name(index, self._suffix)) for index in rows.tolist()]
        offsets = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([len(record) for record in found], out=offsets[1:])
        return Records(np.frombuffer(b"".join(found), np.uint8), offsets, self.labels[rows], shapes)

    def _content(self, name: str, size: int | None = None) -> bytes:
        """All bytes of a regular file, of ``size`` bytes where that is given."""
        try:
            file = os.open(name, _READ, dir_fd=self._root)
        except OSError as error:
            raise self._damaged(f"{name} cannot be opened ({error.strerror})") from error
        try:
            facts = os.fstat(file)
            if not stat.S_ISREG(facts.st_mode) or facts.st_size > MAX_RECORD_BYTES:
                raise self._damaged(f"{name} is not a regular file of at most {MAX_RECORD_BYTES:,} bytes")
            content = os.read(file, facts.st_size)
        finally:
            os.close(file)
        if len(content) != (facts.st_size if size is None else size):
            raise self._damaged(f"{name} has {len(content):,} bytes, not {size or facts.st_size:,}")
        return content

    def _column(self, name: str, dtype: np.dtype[Any], shape: tuple[int, ...]) -> NDArray[Any]:
        """An array beside the images, refused by its size before anything is allocated for it."""
        if self._root < 0:
            self._open()
        try:
            column = np.load(io.BytesIO(self._content(name)), allow_pickle=False)
        except (ValueError, EOFError) as error:
            raise self._damaged(f"{name} is not an array ({error})") from error
        if not isinstance(column, np.ndarray) or column.dtype != dtype or column.shape != shape:
            raise self._damaged(f"{name} is not an array of shape {shape} and type {dtype}")
        column.flags.writeable = False
        return column

    def _damaged(self, why: str) -> ContainerDamaged:
        return ContainerDamaged(f"{self._path}: {why}; make it again from its source.")


def _name(index: int, suffix: str) -> str:
    return f"{index // PER_FOLDER:03d}/{index:06d}{suffix}"


def _npy_bytes(array: NDArray[Any]) -> bytes:
    stream = io.BytesIO()
    np.save(stream, array, allow_pickle=False)
    return stream.getvalue()
