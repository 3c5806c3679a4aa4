"""IDX files, plain or gzipped, as MNIST and its relatives have them (http://yann.lecun.com/exdb/mnist/)."""

from __future__ import annotations

import gzip
import os
import re
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from backends.datasets.arrays import Arrays, FileRows, Rows, common_source, find_parts
from backends.datasets.regular_file import open_regular, unpacking
from backends.errors import DatasetDamaged

if TYPE_CHECKING:
    from pathlib import Path

    from backends.datasets.base import Reading

GZIP, MOST_RATIO = b"\x1f\x8b", 1100
"""The magic of gzip, and more bytes than one of its bytes can unpack to."""

_LABELS = (("images", "labels"), ("idx3", "idx1"))


def open_files(files: list[Path], path: str, split: str | None, how: Reading) -> Arrays:
    """Open files of images, each with the file of labels beside it."""
    arrays: dict[str, Rows] = {}
    for file in files:
        part = re.sub("^t10k", "test", re.split(r"[-.]?images", file.name)[0])
        arrays[f"{part} images"] = _rows(file)
        name = file.name
        for images, labels in _LABELS:
            name = name.replace(images, labels)
        if name != file.name and file.with_name(name).exists():
            arrays[f"{part} labels"] = _rows(file.with_name(name))
    parts = find_parts(arrays, path)
    return Arrays(parts, kind="IDX", path=path, source=common_source(files), split=split, how=how)


def _rows(path: Path) -> FileRows:
    """The array of unsigned bytes in a file."""
    file = open_regular(path)
    size, packed = os.fstat(file.fileno()).st_size, file.read(2) == GZIP
    file.seek(0)
    file = cast("BinaryIO", gzip.GzipFile(fileobj=file)) if packed else file
    with unpacking(path):
        head = file.read(4)
        dimensions = head[3] if head[:3] == b"\0\0\x08" and len(head) == 4 else 0
        shape = tuple(np.frombuffer(file.read(4 * dimensions), ">u4").tolist())
    if not 0 < len(shape) == dimensions:
        raise DatasetDamaged(f"{path} is no IDX file of bytes: get it again.")
    room = size * MOST_RATIO if packed else size
    return FileRows(file, str(path), 4 + 4 * dimensions, shape, np.dtype(np.uint8), room)
