"""Files of numpy: ``.npy``, and ``.npz`` as MedMNIST has them.  Nothing in them is unpickled."""

from __future__ import annotations

import os
import zipfile
from typing import TYPE_CHECKING, BinaryIO, cast

import numpy as np

from backends.datasets.arrays import Arrays, FileRows, Rows, common_source, find_parts
from backends.datasets.regular_file import open_regular, unpacking

if TYPE_CHECKING:
    from pathlib import Path

    from backends.datasets.base import Reading


def open_files(files: list[Path], path: str, split: str | None, how: Reading) -> Arrays:
    """Open ``.npy`` files and ``.npz`` archives of them; arrays are recognised by names and shapes."""
    arrays: dict[str, Rows] = {}
    for file in files:
        opened = open_regular(file)
        if opened.read(2) != b"PK":
            arrays[file.stem] = _rows(opened, str(file), os.fstat(opened.fileno()).st_size)
            continue
        prefix = f"{file.stem} " if len(files) > 1 else ""
        with unpacking(file):
            archive = zipfile.ZipFile(opened)
            for info in archive.infolist():
                if info.filename.endswith(".npy"):
                    member = cast("BinaryIO", archive.open(info))
                    rows = _rows(member, f"{info.filename} in {file}", info.file_size)
                    arrays[prefix + info.filename.removesuffix(".npy")] = rows
    parts = find_parts(arrays, path)
    return Arrays(parts, kind="numpy arrays", path=path, source=common_source(files), split=split, how=how)


def _rows(file: BinaryIO, where: str, room: int) -> FileRows:
    with unpacking(where):
        file.seek(0)
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(file)
        start = file.tell()
    if (fortran and len(shape) > 1) or dtype.hasobject:
        shape, dtype = (), np.dtype(np.uint8)  # neither can be read row by row, so that it is none of images
    return FileRows(file, where, start, shape, dtype, room)
