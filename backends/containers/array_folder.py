"""What npy and tar share: a folder of one file of pixels, plain .npy files beside it, and layout.json, written last.

numpy writes and reads the headers.  No link is followed, nothing is unpickled, and a file's header and size are
checked before its data is used.
"""

from __future__ import annotations

import io
import os
from contextlib import suppress
from math import prod
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy_format

from backends.containers.fileio import MappedFile
from backends.errors import ContainerDamaged, ImgstoreError
from backends.images import Layout

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

    from backends.containers.records import Columns


def write_header(file: BinaryIO, dtype: str, shape: tuple[int, ...]) -> None:
    """Write the header of a ``.npy`` file; numpy pads it, so that it is as long for any ``shape[0]``."""
    npy_format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})


def save_array(file: BinaryIO, array: NDArray[Any]) -> None:
    """Write a whole ``.npy`` file, little-endian."""
    array = np.ascontiguousarray(array, array.dtype.newbyteorder("<"))
    write_header(file, array.dtype.str, array.shape)
    file.write(array.reshape(-1).view(np.uint8).data)  # of a full disk, numpy's own write says neither name nor number


def data_start(head: bytes, file_bytes: int, dtype: str, shape: tuple[int, ...] | None) -> int:
    """Where data begins in a ``.npy`` file that starts with ``head``.

    Parameters
    ----------
    shape
        None for one dimension of whatever length the file has.

    Raises
    ------
    ValueError
        The file is not exactly a C-contiguous array of this type and shape.
    """
    file = io.BytesIO(head)
    if npy_format.read_magic(file) != (1, 0):
        raise ValueError("another version of the format")
    found, is_fortran, found_dtype = npy_format.read_array_header_1_0(file)
    if found_dtype.str != dtype or is_fortran or found != (shape or found[:1]):
        raise ValueError(f"it has shape {found} and type {found_dtype}")
    if file_bytes - file.tell() != found_dtype.itemsize * prod(found):
        raise ValueError(f"it has {file_bytes:,} bytes")
    return file.tell()


class NewFolder:
    """A folder that is being made: bytes are written to its one file ``pixels``, then arrays come beside it.

    Attributes
    ----------
    pixels
        The open file.
    is_open
        Until the folder is finished or removed.
    """

    def __init__(self, path: Path, name: str) -> None:
        self._path = path
        self._names: list[str] = []
        path.mkdir()
        self.is_open = False
        try:
            self.pixels = self._create(name)
        except BaseException:
            self.remove()
            raise
        self.is_open = True

    def finish(self, layout: Layout, columns: Columns, **arrays: NDArray[Any] | None) -> None:
        """Write ``arrays`` and the columns, then layout.json, and close.  Raises ValueError for a wrong count."""
        columns.check_complete()
        self.pixels.close()
        for name, array in {**arrays, "labels": columns.labels, "shapes": columns.shapes}.items():
            if array is not None:
                with self._create(f"{name}.npy") as file:
                    save_array(file, array)
        with self._create("layout.json") as file:
            file.write(layout.to_json().encode())
        self.is_open = False

    def remove(self) -> None:
        """Close, and remove what was made and nothing else."""
        if self.is_open:
            with suppress(OSError):  # of a full disk, once more
                self.pixels.close()
        self.is_open = False
        for name in self._names:
            (self._path / name).unlink(missing_ok=True)
        with suppress(OSError):
            self._path.rmdir()

    def _create(self, name: str) -> BinaryIO:
        file = (self._path / name).open("xb")
        self._names.append(name)
        return file


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
        try:
            start = data_start(file.head(), file.size, dtype, shape)
        except (
            ValueError,
            SyntaxError,
            TokenError,
            RecursionError,
            MemoryError,
        ) as error:
            file.close()
            wanted = f"an array of shape {shape or '(n,)'} and type {dtype}"
            raise self.damaged(f"{name} is not {wanted} ({error})") from error
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
        return self.array("shapes", "<i4", (self.layout.count, 3))[rows] if self.layout.carries_shapes else None

    def damaged(self, why: str) -> ContainerDamaged:
        return ContainerDamaged(f"{self._path} is not a finished {self._kind}: {why}; make it again.")

    def _read_layout(self) -> Layout:
        file = self.open("layout.json")
        try:
            return Layout.from_json(file.head(file.size))
        except (ValueError, KeyError, TypeError) as error:
            raise self.damaged(f"layout.json is invalid ({error})") from error
        finally:
            file.close()
