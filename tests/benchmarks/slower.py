"""Backends that read a tenth of each batch twice: the known difference that a comparison must find."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from backends.base import Backend, Reader, Writer
from backends.images import Layout, Records
from backends.registry import BackendEntry, make_backend

PREFIX = "slower-"


class Slower(Backend):
    """The backend whose name follows the prefix, with readers that read a tenth again."""

    def create(self, path: Path, layout: Layout) -> Writer:
        return make_backend(self.name.removeprefix(PREFIX)).create(path, layout)

    def open(self, path: Path) -> Reader:
        return SlowerReader(make_backend(self.name.removeprefix(PREFIX)).open(path))


class SlowerReader(Reader):
    def __init__(self, reader: Reader) -> None:
        self._reader, self.layout, self._done = reader, reader.layout, 0

    @property
    def is_open(self) -> bool:
        return self._reader.is_open

    def reopen(self) -> None:
        self._reader.reopen()

    def release(self) -> None:
        self._reader.release()

    def read_labels(self) -> NDArray[np.int64]:
        return self._reader.read_labels()

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        records = self._reader.read_range(start, stop, out)
        if again := self._tenth(stop - start):
            self._reader.read_range(start, start + again, None if out is None else out[:again])
        return records

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        records = self._reader.read_rows(rows, out)
        if again := self._tenth(len(rows)):
            self._reader.read_rows(rows[:again], None if out is None else out[:again])
        return records

    def _tenth(self, count: int) -> int:
        """How many of the next ``count`` records to read again, so that over time it is a tenth of all."""
        self._done += count
        return self._done // 10 - (self._done - count) // 10


NAMES = ("files", "lmdb", "hdf5", "npy", "sqlite")
FILES, LMDB, HDF5, NPY, SQLITE = (
    BackendEntry(PREFIX + name, f"{name}, to compare with", f"{__name__}:Slower_{name}", "raw") for name in NAMES
)


def __getattr__(name: str) -> type[Slower]:
    """The class of an entry: ``Slower_lmdb`` reads like ``lmdb``, only slower."""
    backend = name.removeprefix("Slower_")
    if backend not in NAMES:
        raise AttributeError(name)
    return type(name, (Slower,), {"name": PREFIX + backend})
