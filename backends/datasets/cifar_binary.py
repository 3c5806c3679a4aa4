"""The binary versions of CIFAR-10 and CIFAR-100, and STL-10.

The formats: https://www.cs.toronto.edu/~kriz/cifar.html and https://cs.stanford.edu/~acoates/stl10/
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import numpy as np

from backends.datasets.arrays import Arrays, FileRows, JoinedRows, Part, Rows
from backends.datasets.regular_file import open_regular, reading
from backends.errors import DatasetDamaged

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray

    from backends.datasets.base import Reading


def open_files(files: list[Path], path: str, split: str | None, how: Reading) -> Arrays:
    """Open the files of one folder: CIFAR has a label of one or two bytes before each image, STL-10 files of labels."""
    folder, stl = files[0].parent, any("_X" in file.name for file in files)
    coarse = not stl and not any("batch" in file.name for file in files)  # CIFAR-100 has two labels
    skip, side = (0, 96) if stl else (1 + coarse, 32)
    found: dict[str, list[tuple[Rows, NDArray[np.generic] | None]]] = {}
    for file in sorted(files):
        word = re.split("_[Xb]", file.stem)[0].replace("data", "train")
        found.setdefault(word, []).append(_piece(file, side, skip, stl=stl))
    parts = {}
    for word in sorted(found, key=lambda word: (word != "train", word)):
        columns = [column for _, column in found[word] if column is not None]
        labels = np.concatenate(columns) if len(columns) == len(found[word]) else None
        parts[word] = Part(JoinedRows([rows for rows, _ in found[word]]), labels)
    names = ("fine_label_names.txt",) if coarse else ("class_names.txt", "batches.meta.txt")
    classes = next((_lines(folder / name) for name in names if (folder / name).exists()), ())
    kind = "STL-10" if stl else "CIFAR-100, binary" if coarse else "CIFAR-10, binary"
    return Arrays(parts, kind=kind, path=path, source=folder, split=split, how=how, classes=classes)


def _piece(path: Path, side: int, skip: int, *, stl: bool) -> tuple[Rows, NDArray[np.generic] | None]:
    """The images of one file, and their labels."""
    file, stride = open_regular(path), skip + 3 * side * side
    with reading(path):
        size = path.stat().st_size
        if not size or size % stride:
            raise DatasetDamaged(f"{path} is truncated, or another file: it is no multiple of {stride:,} bytes.")
        beside = path.with_name(path.name.replace("_X", "_y"))
        labels: NDArray[np.generic] | None = None
        if not stl:
            labels = np.fromfile(path, np.uint8).reshape(-1, stride)[:, skip - 1].copy()
        elif beside.exists():
            labels = np.fromfile(beside, np.uint8)[: size // stride] - 1
    rows = _TurnedRows if stl else FileRows
    return rows(file, str(path), 0, (size // stride, 3, side, side), np.dtype(np.uint8), size, skip), labels


class _TurnedRows(FileRows):
    """Images stored column by column."""

    def read(self, start: int, stop: int) -> NDArray[np.generic]:
        return super().read(start, stop).swapaxes(2, 3)


def _lines(path: Path) -> tuple[str, ...]:
    with open_regular(path) as file, reading(path):
        return tuple(line.strip() for line in file.read(1 << 16).decode("utf-8", "replace").split("\n") if line.strip())
