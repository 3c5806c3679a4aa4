"""The LMDB environments that this process reads: one a file, shared by its readers and counted.

LMDB forbids to open a file twice in one process, and what a child inherits through a fork must not be used there.
"""

from __future__ import annotations

import os
import stat
import struct
import threading
from typing import TYPE_CHECKING

import lmdb

from backends.errors import ContainerDamaged

if TYPE_CHECKING:
    from pathlib import Path

DATA_FILE = "data.mdb"
_META = struct.Struct("=16xII16xI92xQQ")
"""A meta page of LMDB 0.9 (mdb.c, MDB_page and MDB_meta): magic, version, page size, last page, transaction."""
_MAGIC, _VERSION = 0xBEEFC0DE, 1


class Share:
    """A share in the environment of one file, which is closed by its last user, and in a child by the fork."""

    def __init__(self, environment: lmdb.Environment) -> None:
        self.environment = environment
        self.is_open = True
        self.users = 0

    def close(self) -> None:
        self.environment.close()
        self.is_open = False


class _Table:
    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.shares: dict[tuple[int, int], Share] = {}

    def forget(self) -> None:
        """In a child after a fork: drop what was inherited, so that it can be opened anew."""
        self.lock = threading.Lock()
        for share in self.shares.values():
            share.close()
        self.shares = {}


_TABLE = _Table()
os.register_at_fork(after_in_child=_TABLE.forget)


def acquire(path: Path) -> Share:
    """Take a share in the environment of the folder ``path``.

    Raises
    ------
    FileNotFoundError
        There is nothing at ``path``.
    ContainerDamaged
        What is there is not a whole LMDB environment in the format of 0.9.
    """
    with _TABLE.lock:
        file = _check_whole(path)
        if file not in _TABLE.shares:
            try:
                environment = lmdb.open(str(path), map_size=0, readonly=True, create=False, lock=False)
            except lmdb.Error as error:
                raise ContainerDamaged(f"{path} cannot be opened as an LMDB environment: {error}.") from error
            _TABLE.shares[file] = Share(environment)
        share = _TABLE.shares[file]
        share.users += 1
        return share


def release(share: Share) -> None:
    """Give a share back; the last one closes the environment."""
    with _TABLE.lock:
        share.users -= 1
        if share.users == 0 and share.is_open:
            share.close()
            _TABLE.shares = {file: other for file, other in _TABLE.shares.items() if other is not share}


def _check_whole(path: Path) -> tuple[int, int]:
    """Refuse a file that ends before its last page, as touching a map beyond its end kills the process (SIGBUS).

    Returns
    -------
    device, inode
        What identifies the file.
    """
    path.stat()
    try:
        file = os.open(path / DATA_FILE, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        raise ContainerDamaged(f"{path} has no {DATA_FILE} that can be read ({error.strerror}).") from error
    try:
        facts = os.fstat(file)
        needed = _bytes_needed(file) if stat.S_ISREG(facts.st_mode) else None
    finally:
        os.close(file)
    if needed is None:
        raise ContainerDamaged(f"{path}/{DATA_FILE} is not in the format of LMDB 0.9.")
    if facts.st_size < needed:
        raise ContainerDamaged(f"{path}/{DATA_FILE} is cut: {facts.st_size:,} bytes of {needed:,}; make it again.")
    return facts.st_dev, facts.st_ino


def _bytes_needed(file: int) -> int | None:
    """Bytes up to the last page of the latest transaction; None where a meta page is not one."""
    metas: list[tuple[int, int]] = []
    position = 0
    for _ in range(2):
        found = os.pread(file, _META.size, position)
        if len(found) < _META.size:
            return None
        magic, version, position, last_page, transaction = _META.unpack(found)
        if (magic, version) != (_MAGIC, _VERSION):
            return None
        metas.append((transaction, (last_page + 1) * position))
    return max(metas)[1]
