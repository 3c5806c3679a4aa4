"""Small files of a folder, each read whole by its name: what reading ten thousand pictures is made of."""

from __future__ import annotations

import os
import stat
import weakref
from typing import TYPE_CHECKING

import numpy as np

from backends.errors import ContainerDamaged, refusal
from backends.transfer import read_at

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
MAX_FILE_BYTES = 1 << 32
FIRST_READ_BYTES, LONG_READ_BYTES = 1 << 12, 1 << 20
_READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
_UNSEEN = _READ | getattr(os, "O_NOATIME", 0)
"""The first read of a new file notes its time, which takes as long as the read itself; an owner may waive that."""


class WholeFiles:
    """An open folder of images.  No link is followed, and only regular files are read.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    NotAllowed, TooManyFiles
        It may not be opened.
    ContainerDamaged
        It is a file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._likely_bytes = FIRST_READ_BYTES
        self._flags = _UNSEEN
        try:
            self._root = os.open(path, FOLDER)
        except NotADirectoryError as error:
            raise self.damaged("it is a file") from error
        except OSError as error:
            raise refusal(error, path) or error from error
        self._closing = weakref.finalize(self, os.close, self._root)

    @property
    def is_open(self) -> bool:
        return self._closing.alive

    def close(self) -> None:
        self._closing()

    def check_folder(self, name: str) -> None:
        """Raises ContainerDamaged where ``name`` is no real folder but missing, or a link to elsewhere."""
        try:
            mode = os.stat(name, dir_fd=self._root, follow_symlinks=False).st_mode
        except FileNotFoundError:
            mode = 0
        if not stat.S_ISDIR(mode):
            raise self.damaged(f"the folder {name} is missing")

    def content(self, name: str) -> bytes:
        """All bytes of one file, as ``contents`` reads it."""
        return self.contents([name], [None])[0]

    def contents(self, names: Iterable[str], sizes: Iterable[int | None]) -> list[bytes]:
        """All bytes of each file, which has its size where that is known.

        Only what can be positioned in is read by ``pread``, and of that only a regular file ends early: ``fstat`` is
        asked where it does not.

        Raises
        ------
        NotAllowed, TooManyFiles
            A file may not be opened.
        ContainerDamaged
            A file is missing, not regular, empty, larger than ``MAX_FILE_BYTES`` or has another size.
        """
        found: list[bytes] = []
        name = ""
        try:
            for name, size in zip(names, sizes, strict=False):
                likely = 1 + min(self._likely_bytes if size is None else size, LONG_READ_BYTES)
                try:
                    file = os.open(name, self._flags, dir_fd=self._root)
                except PermissionError:
                    self._flags = _READ
                    file = os.open(name, _READ, dir_fd=self._root)
                try:
                    content = os.pread(file, likely, 0)
                    if not content or len(content) == likely:
                        content = self._long_content(file, name)
                finally:
                    os.close(file)
                if size is not None and len(content) != size:
                    raise self.damaged(f"{name} has {len(content):,} bytes, not {size:,}")
                found.append(content)
        except OSError as error:
            damaged = self.damaged(f"{name} cannot be read ({error.strerror})")
            raise refusal(error, f"{self._path}/{name}") or damaged from error
        return found

    def damaged(self, why: str) -> ContainerDamaged:
        return ContainerDamaged(f"{self._path} is not a finished folder of images: {why}; make it again.")

    def _long_content(self, file: int, name: str) -> bytes:
        facts = os.fstat(file)
        if not stat.S_ISREG(facts.st_mode) or not 0 < facts.st_size <= MAX_FILE_BYTES:
            raise self.damaged(f"{name} is not a regular file of 1 to {MAX_FILE_BYTES:,} bytes")
        self._likely_bytes = max(self._likely_bytes, facts.st_size * 3 // 2)
        content = np.empty(facts.st_size, np.uint8)
        read_at(file, content, 0, name)
        return content.tobytes()
