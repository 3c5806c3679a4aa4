"""HDF5 files with arrays of images; what lies in other files, by links or as external or virtual data, is not read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from backends.datasets.arrays import Arrays, Rows, common_source, find_parts
from backends.datasets.regular_file import open_regular, unpacking

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from backends.datasets.base import Reading

MOST_RATIO = 1100
"""Arrays that are larger than their stored bytes by more than this are not looked at."""


def open_files(files: list[Path], path: str, split: str | None, how: Reading) -> Arrays:
    """Open files whose arrays, at the top or in a group, are recognised by names and shapes."""
    import h5py

    arrays: dict[str, Rows] = {}
    opened = []
    for file in files:
        open_regular(file).close()
        prefix = f"{file.stem} " if len(files) > 1 else ""
        with unpacking(file):
            opened.append(h5py.File(file, "r"))
            for name, dataset in _datasets(opened[-1], h5py):
                arrays[prefix + name] = _DatasetRows(dataset, f"{name} in {file}")

    def close() -> None:
        for file in opened:
            file.close()

    parts = find_parts(arrays, path)
    return Arrays(parts, kind="HDF5", path=path, source=common_source(files), split=split, how=how, close=close)


def _datasets(group: Any, h5py: Any, depth: int = 1) -> Iterator[tuple[str, Any]]:
    """The arrays in a group and ``depth`` levels below it, whose bytes are in this file."""
    for name in group:
        if not isinstance(group.get(name, getlink=True), h5py.HardLink):
            continue
        item = group[name]
        if isinstance(item, h5py.Group) and depth:
            yield from ((f"{name} {inner}", found) for inner, found in _datasets(item, h5py, depth - 1))
        elif isinstance(item, h5py.Dataset) and item.external is None and not item.is_virtual:
            yield from [(name, item)] if item.nbytes <= MOST_RATIO * item.id.get_storage_size() else []


class _DatasetRows(Rows):
    def __init__(self, dataset: Any, where: str) -> None:
        self.shape, self.dtype, self._dataset, self._where = dataset.shape, dataset.dtype, dataset, where

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        with unpacking(self._where):
            rows: NDArray[np.generic] = self._dataset[start:stop]
        return rows
