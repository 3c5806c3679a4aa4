"""Work folders of a run, and the list of files to remove when it ends."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import shutil
import stat
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from backends import limits
from backends.errors import NotAllowed

RECORD = "made.jsonl"

_OPEN = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC  # neither follows a link nor waits for the writer of a FIFO
_SEARCH: int = getattr(os, "O_PATH", os.O_RDONLY)  # a parent need not be readable


@dataclass(frozen=True, slots=True)
class MadeFolder:
    """A folder as it was when a run made it; what lies at ``path`` later is the run's if the rest is the same."""

    path: str
    device: int
    inode: int
    owner: int


class WorkFolder:
    """A new folder for a run's source and artefacts, at ``root``, which must not exist; raises NotAllowed otherwise.

    Everything is written to its record before it is made, so that a crash leaves nothing unknown behind.  Missing
    folders above it are made too, and removed again if empty.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.made: tuple[MadeFolder, ...] = ()  # what clean needs: the folder, then those above that were made
        self._folder = self._record = -1
        try:
            for folder in reversed([folder for folder in root.parents if not folder.exists()]):
                try:
                    self.made = (_make(folder), *self.made)
                except FileExistsError:
                    if not folder.is_dir():  # else another run made it meanwhile
                        raise
            self.made = (_make(root), *self.made)
            self._folder = os.open(root, os.O_RDONLY | os.O_DIRECTORY | _OPEN)
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | _OPEN
            self._record = os.open(RECORD, flags, 0o600, dir_fd=self._folder)
            # Another user who can rename the new folder may have put theirs in its place: what we make in that has
            # another owner.  Our user id does not tell, since some filesystems give everything to one user.
            if not _is(os.fstat(self._folder), self.made[0]) or os.fstat(self._record).st_uid != self.made[0].owner:
                raise PermissionError(errno.EPERM, "another user has replaced it")
        except OSError as error:
            self._undo()
            raise NotAllowed(f"{root} cannot be made ({error.strerror}): choose another folder to write in.") from None

    def claim(self, name: str) -> Path:
        """The path for ``name``, written to the record; nothing is there yet."""
        os.write(self._record, json.dumps({"made": name}).encode() + b"\n")
        return self.root / name

    def remove(self, name: str) -> None:
        """Remove one thing that was claimed before."""
        _remove(name, self._folder)

    def remove_all(self, tick: Callable[[], None] = lambda: None) -> tuple[Path, ...]:
        """Remove what was made, then the folder itself; see ``clean``."""
        os.close(self._record)
        os.close(self._folder)
        return clean(self.made, tick)

    def _undo(self) -> None:
        if self._record >= 0:
            os.close(self._record)
            _remove(RECORD, self._folder)
        if self._folder >= 0:
            os.close(self._folder)
        for folder in self.made:
            with contextlib.suppress(OSError), _opened(folder) as descriptor:
                _remove_empty(descriptor, folder)


def clean(made: tuple[MadeFolder, ...], tick: Callable[[], None] = lambda: None) -> tuple[Path, ...]:
    """Remove what the record in a work folder lists, and the folders that were made if nothing else is in them.

    ``made`` is as in ``WorkFolder``, kept where no other user can write.  ``tick`` is called after each removal, which
    may take a hundred thousand files.  Returns what could not be removed, and the work folder where it holds something
    else or is not the one that was made.
    """
    left: tuple[Path, ...] = ()
    for number, folder in enumerate(made):
        path = Path(folder.path)
        try:
            with _opened(folder) as descriptor:
                if number == 0:
                    left = _clear(descriptor, path, tick)
                if not left:
                    _remove_empty(descriptor, folder)
        except FileNotFoundError:  # somebody else cleans too
            continue
        except OSError:
            left = left or ((path,) if number == 0 and os.path.lexists(path) else ())
        if left:
            break
    return left


def is_there(folder: MadeFolder) -> bool:
    """Whether the folder that was made is still at its path, and nothing else."""
    with contextlib.suppress(OSError), _opened(folder):
        return True
    return False


def _make(folder: Path) -> MadeFolder:
    folder.mkdir(mode=0o700)
    made = folder.lstat()
    return MadeFolder(str(folder.absolute()), made.st_dev, made.st_ino, made.st_uid)


def _is(status: os.stat_result, folder: MadeFolder) -> bool:
    same = (status.st_dev, status.st_ino, status.st_uid) == (folder.device, folder.inode, folder.owner)
    return same and stat.S_ISDIR(status.st_mode)


@contextlib.contextmanager
def _opened(folder: MadeFolder) -> Iterator[int]:
    """A descriptor of a folder.  Raises OSError where it is gone, or another thing is in its place."""
    descriptor = os.open(folder.path, os.O_RDONLY | os.O_DIRECTORY | _OPEN)
    try:
        if not _is(os.fstat(descriptor), folder):
            raise OSError(errno.ESTALE, "not the folder that was made", folder.path)
        yield descriptor
    finally:
        os.close(descriptor)


def _clear(folder: int, path: Path, tick: Callable[[], None]) -> tuple[Path, ...]:
    """Empty a work folder of what its record lists and of the record; what stayed is returned."""
    left = []
    for name in _recorded(folder):
        try:
            _remove(name, folder)
        except OSError:
            left.append(path / name)
        tick()
    if not left and set(os.listdir(folder)) - {RECORD}:
        return (path,)
    if not left:
        _remove(RECORD, folder)
    return tuple(left)


def _recorded(folder: int) -> list[str]:
    """The names in the record; other lines are passed over.  Raises OSError where it is not a regular file of ours."""
    try:
        descriptor = os.open(RECORD, os.O_RDONLY | _OPEN, dir_fd=folder)
    except FileNotFoundError:
        return []
    with os.fdopen(descriptor, "rb") as file:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode) or status.st_uid != os.fstat(folder).st_uid:
            raise OSError(errno.EINVAL, "the record is not a file of ours")
        lines = file.read(limits.JSON_BYTES.value).splitlines()
    names = []
    for line in lines:
        with contextlib.suppress(ValueError):
            match limits.parse_json(line):
                case {"made": str(name)} if name not in ("", "..") and name == Path(name).name:
                    names.append(name)
    return names


def _remove(name: str, folder: int) -> None:
    """Remove ``name`` in an open folder, whatever it is; a link is not followed."""
    with contextlib.suppress(FileNotFoundError):
        if stat.S_ISDIR(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
            shutil.rmtree(name, dir_fd=folder)
        else:
            os.unlink(name, dir_fd=folder)


def _remove_empty(descriptor: int, folder: MadeFolder) -> None:
    """Remove an open and empty folder from the one that really holds it, whatever its path leads to by now."""
    parent = os.open("..", _SEARCH | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=descriptor)
    try:
        name = Path(folder.path).name
        if _is(os.stat(name, dir_fd=parent, follow_symlinks=False), folder):
            os.rmdir(name, dir_fd=parent)
    finally:
        os.close(parent)
