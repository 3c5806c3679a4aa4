"""Where the files of a dataset lie: a folder here, a tar archive in ``archive``."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

from backends.datasets.regular_file import FILE_BYTES, open_regular, reading
from backends.errors import DatasetDamaged, DatasetNotFound

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from pathlib import Path


class FolderFiles:
    """The files of one folder, read whole, one at a time; nothing stays open."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def where(self, name: str) -> str:
        """The file as an error names it."""
        return str(self.path / name)

    def scan(self, wanted: Collection[str]) -> Iterator[tuple[str, bytes]]:
        """Each of the ``wanted`` files that is there, with its bytes, in the order that is fastest."""
        for name in wanted:
            with suppress(DatasetNotFound):
                yield name, _read_whole(self.path / name)

    def load(self, name: str) -> bytes:
        """The bytes of one file that ``scan`` found."""
        try:
            return _read_whole(self.path / name)
        except DatasetNotFound as error:
            raise DatasetDamaged(f"{self.where(name)} is gone since it was opened: put it back.") from error

    def close(self) -> None:
        """Release what is open.  May be called twice."""


def _read_whole(path: Path) -> bytes:
    with open_regular(path) as file, reading(path):
        size = os.fstat(file.fileno()).st_size
        if size > FILE_BYTES:
            raise DatasetDamaged(f"{path} is not a CIFAR batch (it has more than {FILE_BYTES >> 20} MiB): replace it.")
        return file.read(size)
