"""The LMDB environments that this process reads: one a file, shared by its readers and counted.

LMDB forbids to open a file twice in one process, and what a child inherits through a fork must not be used there.
"""

from __future__ import annotations

import errno
import os
import stat
import threading
from typing import TYPE_CHECKING

import lmdb

from backends.errors import ContainerDamaged, NotAllowed, refusal

if TYPE_CHECKING:
    from pathlib import Path

DATA_FILE = "data.mdb"
_FORMAT = (0, 9)
_NO_MAP = (errno.ENODEV, errno.ENOMEM)


class Share:
    """A share in the environment of one file, which is closed by its last user, and in a child by the fork.

    Attributes
    ----------
    map_bytes
        Bytes up to the end of the file, or to the last page of the latest transaction where that lies behind.
    """

    def __init__(self, environment: lmdb.Environment) -> None:
        self.environment = environment
        self.map_bytes = environment.info()["map_size"]
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
        try:
            facts = os.lstat(f"{path}/{DATA_FILE}")
        except OSError as error:
            path.stat()
            raise ContainerDamaged(f"{path} has no {DATA_FILE} that can be read ({error.strerror}).") from error
        if not stat.S_ISREG(facts.st_mode):
            raise ContainerDamaged(f"{path}/{DATA_FILE} is not a regular file.")
        file = facts.st_dev, facts.st_ino
        if file not in _TABLE.shares:
            _TABLE.shares[file] = _open(str(path), facts.st_size)
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


def _open(path: str, size: int) -> Share:
    """Open an environment whose file has ``size`` bytes, and close it again where that ends before its last page.

    Opening reads no page but the first two; touching a map beyond its end would kill the process (SIGBUS).
    """
    try:
        environment = lmdb.open(
            f"{path}/{DATA_FILE}", subdir=False, map_size=size, readonly=True, create=False, lock=False
        )
    except lmdb.Error as error:
        number = getattr(error, "code", 0) or 0
        if number in _NO_MAP:
            raise NotAllowed(
                f"{path} cannot be mapped into memory ({os.strerror(number)}), as LMDB needs: put it on another"
                " filesystem, or choose another backend."
            ) from error
        damaged = ContainerDamaged(f"{path} cannot be opened as an LMDB environment: {error}.")
        raise refusal(OSError(number, ""), path) or damaged from error
    share = Share(environment)
    if hasattr(environment, "lib_version") and environment.lib_version()[:2] != _FORMAT:
        share.close()
        raise ContainerDamaged(f"{path}/{DATA_FILE} is not in the format of LMDB 0.9.")
    if size < share.map_bytes:  # LMDB maps no less than what was committed
        share.close()
        raise ContainerDamaged(f"{path}/{DATA_FILE} is cut: {size:,} bytes of {share.map_bytes:,}; make it again.")
    return share
