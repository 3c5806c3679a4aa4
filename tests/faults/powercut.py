"""A disk whose power can be cut: an ext4 in a file, of which only what was synced is in the file."""

from __future__ import annotations

import subprocess
from contextlib import contextmanager
from typing import TYPE_CHECKING, Self

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


class Disk:
    """A mounted disk of 64 MB in ``folder / "disk"``, for root; it is unmounted when it is left.

    The file behind it holds what the filesystem has written back: all that was synced, and what the kernel wrote of its
    own accord, which it does every 5 s by default and here every 10 minutes.  A copy of the file, made while it is
    mounted, is the disk after a power cut; mounting the copy replays the journal of ext4.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self._image, self._copy = folder / "disk", folder / "image", folder / "copy"
        self.folder.mkdir()
        self._copy.mkdir()
        with self._image.open("wb") as image:
            image.truncate(64 << 20)
        subprocess.run(["mkfs.ext4", "-q", "-F", self._image], check=True)
        subprocess.run(["mount", "-o", "loop,commit=600,errors=remount-ro", self._image, self.folder], check=True)

    @contextmanager
    def cut(self) -> Iterator[Path]:
        """The disk as it is found, mounted elsewhere, if the power is cut now."""
        image = self._image.with_name("cut")
        subprocess.run(["cp", "--sparse=always", self._image, image], check=True)
        subprocess.run(["mount", "-o", "loop", image, self._copy], check=True)
        try:
            yield self._copy
        finally:
            subprocess.run(["umount", self._copy], check=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        subprocess.run(["umount", "-l", self.folder], check=True)
