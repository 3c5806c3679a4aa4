"""What npy and tar share: a folder of one file of pixels, plain .npy files beside it, and layout.json, written last.

lmdb makes its folder of one file with it too.  No link is followed, and header and size of a file are checked before a
byte of it is believed.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import numpy as np

from backends.batch import carries_shapes
from backends.errors import ContainerDamaged, ImgstoreError
from backends.images import Layout
from backends.mapped_file import MappedFile
from backends.npy_format import HEAD_BYTES, data_start, npy_bytes
from backends.transfer import CREATE, AlignedWriter, write_at

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.batch import Columns


class NewFolder:
    """A folder that is being made: bytes are appended to one file, then arrays come beside it.

    Parameters
    ----------
    start
        Bytes that are left for what ``begin`` writes at the end.

    Attributes
    ----------
    end
        Where the next bytes go; -1 once the folder is closed.
    """

    def __init__(self, path: Path, name: str, start: int = 0) -> None:
        self._path = path
        self._names: list[str] = []
        self.end = -1
        path.mkdir()
        try:
            self._file = self._create(name)
        except BaseException:
            self.remove()
            raise
        self._pixels = AlignedWriter(self._file)
        self.end = start

    def append(self, data: NDArray[np.uint8]) -> None:
        self._pixels.write(data, self.end)
        self.end += data.size

    def append_pieces(self, pieces: list[memoryview]) -> None:
        """Append pieces one behind the other from where they are."""
        self._pixels.write_pieces(pieces, self.end)
        self.end += sum(len(piece) for piece in pieces)

    def room(self, size: int) -> NDArray[np.uint8]:
        """Memory for what is appended next, ``size`` bytes or fewer, to be filled before any other call."""
        room = self._pixels.room(size, self.end)
        self.end += room.size
        return room

    def begin(self, header: bytes) -> None:
        write_at(self._file, np.frombuffer(header, np.uint8), 0)

    def finish(self, layout: Layout, columns: Columns, **arrays: NDArray[Any] | None) -> None:
        """Write ``arrays`` and the columns, then layout.json, and close.  Raises ValueError for a wrong count."""
        columns.check_complete()
        self.flush()
        for name, array in {**arrays, "labels": columns.labels, "shapes": columns.shapes}.items():
            if array is not None:
                self._save(f"{name}.npy", npy_bytes(array))
        self._save("layout.json", layout.to_json().encode())
        self.close()

    def flush(self) -> None:
        """Write what waits."""
        self._pixels.flush()

    def close(self) -> None:
        if self.end >= 0:
            os.close(self._file)
        self.end = -1

    def remove(self) -> None:
        """Close, and remove what was made and nothing else."""
        self.close()
        for name in self._names:
            (self._path / name).unlink(missing_ok=True)
        with suppress(OSError):
            self._path.rmdir()

    def _create(self, name: str) -> int:
        file = os.open(self._path / name, CREATE, 0o666)
        self._names.append(name)
        return file

    def _save(self, name: str, content: bytes) -> None:
        file = self._create(name)
        try:
            write_at(file, np.frombuffer(content, np.uint8), 0)
        finally:
            os.close(file)


class ArrayFolder:
    """A finished folder.

    Parameters
    ----------
    kind
        What it is called in errors, such as ``npy container``.

    Raises
    ------
    FileNotFoundError
        Nothing is there.
    ContainerDamaged
        It has no valid layout.json.
    """

    def __init__(self, path: Path, kind: str) -> None:
        path.stat()
        self._path, self._kind = path, kind
        self._arrays: dict[str, NDArray[Any]] = {}
        self.layout = self._read_layout()

    def open(self, name: str) -> MappedFile:
        """One of the files, for the caller to close."""
        try:
            return MappedFile(self._path / name, os.O_NOFOLLOW)
        except ImgstoreError:
            raise
        except OSError as error:
            raise self.damaged(f"{name} cannot be read ({error.strerror})") from error

    def open_array(self, name: str, dtype: str, shape: tuple[int, ...] | None) -> tuple[MappedFile, int]:
        """A ``.npy`` file, for the caller to close, and the position of its data.

        Parameters
        ----------
        shape
            None for one dimension of whatever length the file has.
        """
        file = self.open(name)
        head = np.empty(min(file.size, HEAD_BYTES), np.uint8)
        file.fill(head, 0)
        start = data_start(head.tobytes(), file.size, dtype, shape)
        if start is None:
            file.close()
            raise self.damaged(f"{name} is not an array of shape {shape or '(n,)'} and type {dtype}")
        return file, start

    def array(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        """One of the arrays beside the pixels, read-only, loaded on first use."""
        if name not in self._arrays:
            file, start = self.open_array(f"{name}.npy", dtype, shape)
            try:
                array = np.empty(shape, dtype)
                file.fill(array, start)
            finally:
                file.close()
            array.flags.writeable = False
            self._arrays[name] = array
        return self._arrays[name]

    @property
    def labels(self) -> NDArray[np.int64]:
        return self.array("labels", "<i8", (self.layout.count,))

    def shapes_of(self, rows: NDArray[np.int64]) -> NDArray[np.int32] | None:
        """The shapes of raw images of mixed size, else None."""
        return self.array("shapes", "<i4", (self.layout.count, 3))[rows] if carries_shapes(self.layout) else None

    def damaged(self, why: str) -> ContainerDamaged:
        return ContainerDamaged(f"{self._path} is not a finished {self._kind}: {why}; make it again.")

    def _read_layout(self) -> Layout:
        file = self.open("layout.json")
        try:
            content = np.empty(file.size, np.uint8)
            file.fill(content, 0)
            return Layout.from_json(content.tobytes())
        except (ValueError, KeyError, TypeError) as error:
            raise self.damaged(f"layout.json is invalid ({error})") from error
        finally:
            file.close()
