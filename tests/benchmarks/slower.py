"""Backends of ours that read a tenth of each batch twice: the known difference that a comparison must find."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backends.base import Backend, Reader
from backends.registry import BackendEntry, make_backend

if TYPE_CHECKING:
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from backends.base import Writer
    from backends.images import Layout, Records

PREFIX = "slower-"


class Slower(Backend):
    """The backend without the prefix, but for the work that its readers do again."""

    def create(self, path: Path, layout: Layout) -> Writer:
        return make_backend(self.name.removeprefix(PREFIX)).create(path, layout)

    def open(self, path: Path) -> Reader:
        return SlowerReader(make_backend(self.name.removeprefix(PREFIX)).open(path))


class SlowerReader(Reader):
    def __init__(self, reader: Reader) -> None:
        self._reader, self.layout, self._done = reader, reader.layout, 0

    @property
    def labels(self) -> NDArray[np.int64]:
        return self._reader.labels

    def read_range(self, start: int, stop: int, out: NDArray[np.uint8] | None) -> Records:
        records = self._reader.read_range(start, stop, out)
        again = self._tenth(stop - start)
        if again:
            self._reader.read_range(start, start + again, None if out is None else out[:again])
        return records

    def read_rows(self, rows: NDArray[np.int64], out: NDArray[np.uint8] | None) -> Records:
        records = self._reader.read_rows(rows, out)
        again = self._tenth(len(rows))
        if again:
            self._reader.read_rows(rows[:again], None if out is None else out[:again])
        return records

    def close(self) -> None:
        self._reader.close()

    def _tenth(self, count: int) -> int:
        """How many of the next ``count`` records to read again, so that it is a tenth of all in the end."""
        before = self._done
        self._done += count
        return self._done // 10 - before // 10


class SlowerFiles(Slower):
    name = "slower-files"


class SlowerLMDB(Slower):
    name = "slower-lmdb"


class SlowerHDF5(Slower):
    name = "slower-hdf5"


class SlowerNpy(Slower):
    name = "slower-npy"


class SlowerSQLite(Slower):
    name = "slower-sqlite"


FILES, LMDB, HDF5, NPY, SQLITE = (
    BackendEntry(one.name, f"{one.name}, to compare with", f"{__name__}:{one.__name__}", "raw")
    for one in (SlowerFiles, SlowerLMDB, SlowerHDF5, SlowerNpy, SlowerSQLite)
)
