"""What files and npy share: a folder of records, plain .npy files beside them, and layout.json, written last.

numpy writes and reads the headers.  No link is followed, nothing is unpickled, and a file's header and size are
checked before its data is used.
"""

from __future__ import annotations

import io
import os
import weakref
from abc import abstractmethod
from contextlib import closing, suppress
from math import prod
from tokenize import TokenError
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.lib import format as npy_format

from backends.containers.fileio import MappedFile, open_folder
from backends.containers.records import ContainerReader, ContainerWriter
from backends.errors import ContainerDamaged, ImgstoreError
from backends.images import Layout

if TYPE_CHECKING:
    from pathlib import Path
    from typing import BinaryIO

    from numpy.typing import NDArray

NO_ARRAY = (ValueError, SyntaxError, TokenError, RecursionError, MemoryError)
"""What ``data_start`` may raise."""


def write_header(file: BinaryIO, dtype: str, shape: tuple[int, ...]) -> None:
    """Write the header of a ``.npy`` file; numpy pads it, so that it is as long for any ``shape[0]``."""
    npy_format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})


class FolderWriter(ContainerWriter):
    """Makes a folder.  A subclass writes records into files that it creates, and in ``end`` what follows them."""

    def __init__(self, path: Path, layout: Layout) -> None:
        super().__init__(path, layout)
        self._files: dict[str, BinaryIO] = {}
        self.path.mkdir()

    def create(self, name: str) -> BinaryIO:
        """A new file of the folder."""
        try:
            file = self._files[name] = (self.path / name).open("xb")
        except BaseException:
            self.abort()
            raise
        return file

    @abstractmethod
    def arrays(self) -> dict[str, NDArray[Any]]:
        """End the file of the records, and return the arrays to save beside it as ``NAME.npy``."""

    def finish(self) -> None:
        for name, array in self.arrays().items():
            with self.create(f"{name}.npy") as file:
                array = np.ascontiguousarray(array)
                write_header(file, array.dtype.str, array.shape)
                file.write(array.reshape(-1).view(np.uint8).data)  # numpy's own write says not that a disk is full
        with self.create("layout.json") as file:
            file.write(self.layout.to_json().encode())

    def remove(self) -> None:
        """The folder stays where somebody else has put something into it."""
        for name, file in self._files.items():
            with suppress(OSError):  # of a full disk, once more
                file.close()
            (self.path / name).unlink(missing_ok=True)
        with suppress(OSError):
            self.path.rmdir()


class FolderReader(ContainerReader):
    """Reads a finished folder, which it holds open by its descriptor, ``root``: what is put in its place is another's.

    A subclass opens and checks what holds the records in ``_open_records``.
    """

    def load(self, name: str, dtype: str, shape: tuple[int, ...]) -> NDArray[Any]:
        file, start = self.open_array(f"{name}.npy", dtype, shape)
        array = np.empty(shape, dtype)
        with closing(file):
            file.fill(array, start)
        return array

    def open_array(self, name: str, dtype: str, shape: tuple[int, ...] | None) -> tuple[MappedFile, int]:
        """A ``.npy`` file, for the caller to close, and where its data begins; of any length if ``shape`` is None."""
        file = self.open_file(name)
        try:
            return file, data_start(file.head(), file.size, dtype, shape)
        except NO_ARRAY as error:
            file.close()
            wanted = f"an array of shape {shape or '(n,)'} and type {dtype}"
            raise self.damaged(f"{name} is not {wanted} ({error})") from error

    def open_file(self, name: str) -> MappedFile:
        """One of the files, for the caller to close."""
        try:
            return MappedFile(self.path / name, self.root, name)
        except ImgstoreError:
            raise
        except OSError as error:
            raise self.damaged(f"{name} cannot be read ({error.strerror})") from error

    @property
    def is_open(self) -> bool:
        return self._closing.alive

    def release(self) -> None:
        self._closing()

    def _open(self) -> Layout:
        self.root = open_folder(self.path)
        self._closing = weakref.finalize(self, os.close, self.root)
        try:
            with closing(self.open_file("layout.json")) as file:
                self.layout = Layout.from_json(file.head(file.size))
            self._open_records()
        except (ValueError, KeyError, TypeError) as error:
            self.release()
            if isinstance(error, ContainerDamaged):
                raise
            raise self.damaged(f"layout.json is invalid ({error})") from error
        except BaseException:
            self.release()
            raise
        return self.layout

    @abstractmethod
    def _open_records(self) -> None:
        """Open and check what holds the records of ``layout``."""


def data_start(head: bytes, file_bytes: int, dtype: str, shape: tuple[int, ...] | None) -> int:
    """Where data begins in a ``.npy`` file that starts with ``head``.

    Raises ValueError where the file is not exactly a C-contiguous array of this type and shape, of one dimension and
    any length if ``shape`` is None.
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
