"""A folder of pictures as a dataset."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, BinaryIO

from backends.datasets.pictures import PictureTree
from backends.datasets.regular_file import open_regular, reading
from backends.datasets.tree import Folder, Walk
from backends.errors import DatasetNotFound, PictureDamaged

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from backends.datasets.base import Reading

KIND = "picture folder"


class PictureFolder(PictureTree):
    """One split of a folder of pictures.  No file stays open.

    Opening lists all splits without opening pictures, and calls ``poll`` now and then.  Raises as ``PictureTree``, and
    Cancelled if ``poll`` returned True.
    """

    whole_files = False

    def __init__(
        self,
        folder: Path,
        path: str,
        split: str | None,
        how: Reading,
        poll: Callable[[int], bool],
    ) -> None:
        walk = Walk(folder, poll)
        tree: Folder = walk.tree()
        super().__init__(tree, walk.skipped, walk.notes(), kind=KIND, path=path, source=folder, split=split, how=how)

    def _open(self, id_: int) -> BinaryIO:
        path = self._top / self._files.base / self.name(id_)
        try:
            file = open_regular(path)
        except DatasetNotFound:
            raise PictureDamaged("it is gone since the dataset was opened") from None
        with reading(path):
            if os.fstat(file.fileno()).st_size != self._files.sizes[id_]:
                file.close()
                raise PictureDamaged("it has changed since the dataset was opened")
        return file
